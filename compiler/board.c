/* SPDX-License-Identifier: GPL-2.0-or-later
 * Board build descriptions (compiler/board.h): finding and reading them. */
#include "compiler/board.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define CONF_MAX_BYTES 16384

bool board_has(const struct board_words *w, const char *word) {
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->word[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_name(const char *s) {
    return *s && strlen(s) < sizeof((struct board *)0)->name && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(s);
}

/* The names of the folders that hold a build.conf, for an error's text. */
static void list_boards(const char *firmware_dir, char *dst, size_t size) {
    char path[PATH_MAX];
    struct dirent **names = NULL;
    size_t used = 0;
    dst[0] = '\0';
    (void)snprintf(path, sizeof path, "%s/boards", firmware_dir);
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/boards/%s/build.conf", firmware_dir, names[i]->d_name);
        if (is_name(names[i]->d_name) && access(path, R_OK) == 0 && used + strlen(names[i]->d_name) + 3 < size) {
            used += (size_t)snprintf(dst + used, size - used, "%s%s", used ? ", " : "", names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
}

/* One line into the key's words. The text is cut at the separators. */
static int take_line(struct board *b, char *line, int number, struct err *reterr) {
    const struct {
        const char *key;
        struct board_words *words;
    } keys[] = {{"title", &b->title},     {"compiler", &b->compiler}, {"install", &b->install}, {"arch", &b->arch}, {"kernels", &b->kernels},
                {"sources", &b->sources}, {"link", &b->link},         {"flash", &b->flash},     {"ram", &b->ram},   {"run", &b->run}};
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    const char *key = strtok_r(line, " \t\r", &rest);
    if (!key) {
        return 0;
    }
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        struct board_words *w = keys[k].words;
        if (strcmp(key, keys[k].key) != 0) {
            continue;
        }
        if (w->n > 0) {
            return err_set(reterr, JF_E_PARSE, "build.conf of %s, line %d: %s stands there twice", b->name, number, key);
        }
        for (const char *word = strtok_r(NULL, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
            if (w->n == BOARD_MAX_WORDS) {
                return err_set(reterr, JF_E_PARSE, "build.conf of %s, line %d: more than %d words", b->name, number, BOARD_MAX_WORDS);
            }
            w->word[w->n++] = word;
        }
        return w->n > 0 ? 0 : err_set(reterr, JF_E_PARSE, "build.conf of %s, line %d: %s has no value", b->name, number, key);
    }
    return err_set(reterr, JF_E_PARSE, "build.conf of %s, line %d: \"%.40s\" is not a key", b->name, number, key);
}

static int check(struct board *b, struct err *reterr) {
    const struct {
        const char *key;
        const struct board_words *words;
        bool single;
    } needed[] = {{"compiler", &b->compiler, true}, {"kernels", &b->kernels, true}, {"link", &b->link, true},
                  {"sources", &b->sources, false},  {"flash", &b->flash, false},    {"ram", &b->ram, false}};
    for (size_t k = 0; k < sizeof needed / sizeof needed[0]; k++) {
        if (needed[k].words->n == 0 || (needed[k].single && needed[k].words->n > 1)) {
            return err_set(reterr, JF_E_PARSE, "build.conf of %s: %s wants %s", b->name, needed[k].key, needed[k].single ? "one word" : "a value");
        }
    }
    if (isa_parse(b->kernels.word[0], &b->isa) < 0) {
        return err_set(reterr, JF_E_PARSE, "build.conf of %s: kernels is portable, dsp or mve, not \"%.40s\"", b->name, b->kernels.word[0]);
    }
    return 0;
}

int board_read(const char *firmware_dir, const char *name, struct board *ret_b, struct err *reterr) {
    char path[PATH_MAX], known[256];
    struct board b = {0};
    void *bytes = NULL;
    size_t n = 0;
    int used = snprintf(path, sizeof path, "%s/boards/%.63s/build.conf", firmware_dir, name);
    if (!is_name(name) || used < 0 || (size_t)used >= sizeof path || access(path, R_OK) != 0) {
        list_boards(firmware_dir, known, sizeof known);
        return err_set(reterr, JF_E_NOT_FOUND, "no board \"%.63s\"; there are: %s", name, known);
    }
    int r = file_read(path, CONF_MAX_BYTES, &bytes, &n, reterr);
    if (r < 0 || !bytes) {
        return err_prefix(reterr, "build.conf of %s", name);
    }
    (void)snprintf(b.name, sizeof b.name, "%s", name);
    b.text = calloc(1, n + 1);
    if (!b.text) {
        free(bytes);
        return err_set(reterr, JF_E_NOMEM, "no memory for build.conf of %s", name);
    }
    memcpy(b.text, bytes, n);
    free(bytes);
    char *line = b.text;
    for (int number = 1; line && r == 0; number++) {
        char *end = strchr(line, '\n');
        if (end) {
            *end++ = '\0';
        }
        r = take_line(&b, line, number, reterr);
        line = end;
    }
    r = r < 0 ? r : check(&b, reterr);
    if (r < 0) {
        board_done(&b);
        return r;
    }
    *ret_b = b;
    return 0;
}

void board_done(struct board *b) {
    free(b->text);
    memset(b, 0, sizeof *b);
}

static bool holds_firmware(const char *dir, char *ret_dir, size_t size) {
    char path[PATH_MAX], real[PATH_MAX];
    int used = snprintf(path, sizeof path, "%s/runtime/jf_model.h", dir);
    if (used < 0 || (size_t)used >= sizeof path || access(path, R_OK) != 0 || !realpath(dir, real) || strlen(real) >= size) {
        return false;
    }
    (void)snprintf(ret_dir, size, "%s", real);
    return true;
}

int board_firmware_dir(const char *option, char *ret_dir, size_t size, struct err *reterr) {
    static const char *const beside[] = {"../share/joulefarm/firmware", "../firmware", "../../firmware"};
    char exe[PATH_MAX], path[PATH_MAX];
    const char *env = getenv("JOULEFARM_FIRMWARE_DIR");
    const char *given = option ? option : env;
    if (given && *given) {
        return holds_firmware(given, ret_dir, size)
                   ? 0
                   : err_set(reterr, JF_E_NOT_FOUND, "%s %.200s holds no firmware sources (runtime/jf_model.h)", option ? "--firmware-dir" : "JOULEFARM_FIRMWARE_DIR", given);
    }
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    for (size_t i = 0; slash && i < sizeof beside / sizeof beside[0]; i++) {
        *slash = '\0';
        int used = snprintf(path, sizeof path, "%s/%s", exe, beside[i]);
        if (used > 0 && (size_t)used < sizeof path && holds_firmware(path, ret_dir, size)) {
            return 0;
        }
    }
    return err_set(reterr, JF_E_NOT_FOUND, "the firmware's sources are not found beside the program (../share/joulefarm/firmware, ../firmware): name them with --firmware-dir");
}
