/* SPDX-License-Identifier: GPL-2.0-or-later
 * The coverage study: how often U95 covers the truth. usage: coverage_study [runs per seed (100)] [draws (20000)] */
#include "tests/bench/coverage.h"

int main(int argc, char **argv) {
    int runs = argc > 1 ? atoi(argv[1]) : 100;
    uint32_t draws = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20000;
    static const uint64_t seeds[] = {1, 2, 3};
    int worst = 100;
    printf("%-16s %5s %6s %8s %8s %8s %10s %10s\n", "model", "seed", "runs", "valid", "gross %", "net %", "U95 gross", "U95 net");
    for (int m = 0; m < COVERAGE_MODELS; m++)
        for (int i = 0; i < 3; i++) {
            struct coverage c = coverage_of(&coverage_models[m], seeds[i], runs, draws);
            if (c.judged == 0)
                return 1;
            double g = 100.0 * c.gross / c.judged, n = 100.0 * c.net / c.judged;
            printf("%-16s %5d %6d %8d %8.1f %8.1f %9.3f%% %9.3f%%\n", coverage_models[m].name, (int)seeds[i], c.runs, c.judged, g, n, 100 * c.u_rel_gross,
                   100 * c.u_rel_net);
            fflush(stdout);
            worst = (int)fmin(worst, fmin(g, n));
        }
    return worst >= 90 || runs < 100 ? 0 : 1; /* fewer runs cannot tell */
}
