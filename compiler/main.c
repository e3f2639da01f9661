/* SPDX-License-Identifier: GPL-2.0-or-later
 * jf-model: reads a quantized model, runs it on the host, writes it as C. This file: the list of commands. */
#include <stdio.h>
#include <string.h>

#include "compiler/cmd.h"

static const struct cmd *const commands[] = {
    &cmd_run,
    &cmd_dump,
    &cmd_diff,
    &cmd_requantize,
    &cmd_emit,
    &cmd_check,
    &cmd_matrix,
    &cmd_targets,
    &cmd_vendor,
    &cmd_firmware,
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *f) {
    (void)fprintf(f, "usage: jf-model COMMAND [OPTIONS]\n\n");
    for (size_t k = 0; k < N_COMMANDS; k++) {
        (void)fprintf(f, "  %-11s %s\n", commands[k]->name, commands[k]->summary);
    }
    (void)fprintf(f, "\n`jf-model COMMAND --help` lists a command's options.\n"
                     "Exit status: 0 done, 1 a model or a file was refused, or illegal on the target, 2 wrong usage; diff: 3 they differ.\n");
}

int main(int argc, char **argv) {
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return CMD_DONE;
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("jf-model %s\n", JF_VERSION);
        return CMD_DONE;
    }
    for (size_t k = 0; argc > 1 && k < N_COMMANDS; k++) {
        if (strcmp(argv[1], commands[k]->name) == 0) {
            int code = commands[k]->run(commands[k], argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout)) {
                (void)fprintf(stderr, "jf-model: the output could not be written\n");
                return CMD_REFUSED;
            }
            return code;
        }
    }
    if (argc > 1) {
        (void)fprintf(stderr, "jf-model: there is no command \"%s\"\n\n", argv[1]);
    }
    usage(stderr);
    return CMD_USAGE;
}
