/* SPDX-License-Identifier: MIT
 * The command line of the MLPerf Tiny device protocol: bytes to one command, a command to tokens, a token to a number. Pure. Behaviour as that of
 * the reference harness (mlcommons/tiny): 80 characters, what exceeds them is dropped; one space separates; numbers as atoi reads them. */
#ifndef FIRMWARE_HARNESS_JF_CMD_H
#define FIRMWARE_HARNESS_JF_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JF_CMD_SIZE 80
#define JF_CMD_END '%'

struct jf_cmd {
    char text[JF_CMD_SIZE + 1];
    size_t len;
    char *next; /* where jf_cmd_token goes on */
};

/* One received byte. True: a command is complete, NUL-terminated in text and ready for jf_cmd_token; the next byte begins a new one. */
bool jf_cmd_feed(struct jf_cmd *c, char byte);
/* The next token (strtok semantics: several spaces count as one), or NULL. Cuts the text. */
char *jf_cmd_token(struct jf_cmd *c);
/* atoi, and a number beyond 32 bits is the nearest one that fits. */
int32_t jf_cmd_number(const char *token);

#endif
