/* SPDX-License-Identifier: GPL-2.0-or-later
 * What strangers send: Host and Origin, job documents, ELF images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/blob.h"
#include "daemon/elf.h"
#include "daemon/http.h"
#include "daemon/jobspec.h"

static void test_hosts(void **state) {
    (void)state;
    static const char *const good[] = {"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8480", "[::1]", "[::1]:1"};
    static const char *const bad[] = {"",      "localhost.", "localhost.evil", "127.0.0.1.evil:80", "127.0.0.2",
                                      "evil",  "localhost:", "localhost:80x",  "localhost:123456",  "user@localhost",
                                      "[::2]", " localhost"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(http_host_is_local(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(http_host_is_local(bad[i]));
    }
    assert_false(http_host_is_local(NULL));
    assert_true(http_origin_is_local("http://localhost:8480"));
    assert_true(http_origin_is_local("https://127.0.0.1"));
    assert_false(http_origin_is_local("null"));
    assert_false(http_origin_is_local("http://localhost/"));
    assert_false(http_origin_is_local("ftp://localhost"));
}

#define H "sha256:abababababababababababababababababababababababababababababababab"

static int check(const char *text, json_t **ret_spec, struct err *e) {
    json_t *obj = NULL;
    int r = jobspec_json(text, strlen(text), &obj, e);
    r = r < 0 ? r : jobspec_check(obj, ret_spec, e);
    json_decref(obj);
    return r;
}

static void test_job_defaults(void **state) {
    (void)state;
    json_t *spec = NULL;
    struct err e = {0};
    assert_int_equal(check("{\"firmware\":\"" H "\",\"board_type\":\"t\"}", &spec, &e), 0);
    /* the defaults of the API's description */
    json_t *want = json_loads("{\"firmware\":\"" H "\",\"model\":null,\"numerics\":null,\"board_type\":\"t\",\"bench\":null,\"requires\":{},\"method\":"
                                                   "\"quick\",\"windows\":5,\"window_s\":null,\"inferences\":null,"
                              "\"warmup\":10,\"inputs\":null,\"expect_output\":null,\"supply_v\":null,\"rate_hz\":null,"
                              "\"priority\":50,\"timeout_s\":900,\"retries\":1,\"labels\":{}}",
                              0, NULL);
    assert_true(json_equal(spec, want));
    json_decref(want);
    json_decref(spec);
}

static void test_job_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text, *where;
        int code;
    } cases[] = {
        {"", "", JF_E_PARSE},
        {"[]", "", JF_E_PARSE},
        {"{\"bench\":\"b\"}", "/firmware", JF_E_INVAL},
        {"{\"firmware\":\"" H "\"}", "/board_type", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"board_type\":\"t\"}", "/bench", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"windows\":0}", "/windows", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"windows\":5.0}", "/windows", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"windows\":65}", "/windows", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"windows\":99999999999999999999}", "/windows", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"requires\":{\"x/y\":1}}", "/requires/x~1y", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"method\":\"quick mlperf-tiny\"}", "/method", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"method\":\"\"}", "/method", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"expect_output\":{\"crc32\":\"123456789\"}}", "/expect_output/crc32",
         JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"expect_output\":{\"values\":[1,\"x\"]}}", "/expect_output/values/1",
         JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"method\":\"mlperf-tiny\",\"inputs\":[\"" H "\",\"" H "\"]}",
         "/inputs", JF_E_INVAL},
        {"{\"firmware\":\"" H "\",\"bench\":\"b\",\"labels\":{\"a\":null}}", "/labels/a", JF_E_INVAL},
        {"{\"firmware\":\"SHA256:" H "\",\"bench\":\"b\"}", "/firmware", JF_E_INVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *spec = NULL;
        struct err e = {0};
        assert_int_equal(check(cases[i].text, &spec, &e), cases[i].code);
        assert_string_equal(e.where, cases[i].where);
        assert_true(e.text[0] != '\0');
    }
}

static void test_place(void **state) {
    (void)state;
    struct conf *c = calloc(1, sizeof *c);
    c->board_types = json_pack("{s:{s:s}, s:{s:s}}", "t", "name", "t", "lonely", "name", "lonely");
    c->benches[0] = (struct conf_bench){.name = "a", .board_type = "t", .rate_hz = 0, .caps = CONF_CAP_STAGES};
    c->benches[1] = (struct conf_bench){
        .name = "b", .board_type = "t", .rate_hz = 1e5, .caps = CONF_CAP_SUPPLY | CONF_CAP_STREAMING};
    c->n_benches = 2;
    static const struct {
        const char *fields, *where;
        int code;
    } cases[] = {
        {"\"board_type\":\"t\"", "", 0},
        {"\"bench\":\"a\",\"requires\":{\"stages\":true}", "", 0},
        {"\"bench\":\"b\",\"requires\":{\"stages\":true}", "/requires", JF_E_UNSUPPORTED},
        {"\"board_type\":\"t\",\"requires\":{\"stages\":true,\"streaming\":true}", "/requires", JF_E_UNSUPPORTED},
        {"\"board_type\":\"t\",\"requires\":{\"min_rate_hz\":1000}", "", 0},
        {"\"bench\":\"a\",\"requires\":{\"min_rate_hz\":1000}", "/requires", JF_E_UNSUPPORTED},
        {"\"bench\":\"a\",\"supply_v\":1.8", "/supply_v", JF_E_UNSUPPORTED},
        {"\"bench\":\"b\",\"supply_v\":1.8", "", 0},
        {"\"bench\":\"z\"", "/bench", JF_E_INVAL},
        {"\"board_type\":\"z\"", "/board_type", JF_E_INVAL},
        {"\"board_type\":\"lonely\"", "/board_type", JF_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        json_t *spec = NULL;
        struct store_job j;
        struct err e = {0};
        (void)snprintf(text, sizeof text, "{\"firmware\":\"" H "\",%s}", cases[i].fields);
        assert_int_equal(check(text, &spec, &e), 0);
        assert_int_equal(jobspec_place(spec, c, &j, &e), cases[i].code);
        assert_string_equal(e.where, cases[i].where);
        if (cases[i].code == 0) {
            assert_string_equal(j.board_type, "t");
        }
        json_decref(spec);
    }
    json_decref(c->board_types);
    free(c);
}

/* A hand-made image by the ELF specification (struct layouts of <elf.h>). */
struct image {
    Elf32_Ehdr h;
    Elf32_Phdr p[2];
    unsigned char code[32];
};

static struct image good_image(void) {
    struct image x = {.h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                            .e_type = ET_EXEC,
                            .e_machine = EM_ARM,
                            .e_version = EV_CURRENT,
                            .e_entry = 0x08000001,
                            .e_phoff = sizeof(Elf32_Ehdr),
                            .e_ehsize = sizeof(Elf32_Ehdr),
                            .e_phentsize = sizeof(Elf32_Phdr),
                            .e_phnum = 2}};
    x.p[0] = (Elf32_Phdr){.p_type = PT_LOAD,
                          .p_offset = offsetof(struct image, code),
                          .p_vaddr = 0x08000000,
                          .p_paddr = 0x08000000,
                          .p_filesz = 24,
                          .p_memsz = 24,
                          .p_flags = PF_R | PF_X};
    x.p[1] = (Elf32_Phdr){.p_type = PT_LOAD,
                          .p_offset = offsetof(struct image, code) + 24,
                          .p_vaddr = 0x20000000,
                          .p_paddr = 0x08000018,
                          .p_filesz = 8,
                          .p_memsz = 4096,
                          .p_flags = PF_R | PF_W};
    return x;
}

static void test_elf(void **state) {
    (void)state;
    struct elf_facts *f = calloc(1, sizeof *f);
    struct err e = {0};
    struct image x = good_image();
    assert_int_equal(elf_read(&x, sizeof x, f, &e), 0);
    assert_int_equal(f->flash_bytes, 32);
    assert_int_equal(f->ram_bytes, 4096);
    assert_int_equal(f->n_segments, 2);
    json_t *segments = elf_segments_json(f);
    json_t *type = json_loads(
        "{\"name\":\"t\",\"regions\":[{\"start\":134217728,\"size\":32},{\"start\":536870912,\"size\":4096}]}", 0,
        NULL);
    assert_int_equal(elf_fits(segments, type, &e), 0);
    (void)json_object_set_new(json_array_get(json_object_get(type, "regions"), 1), "size", json_integer(4095));
    assert_int_equal(elf_fits(segments, type, &e), JF_E_UNSUPPORTED);
    assert_non_null(strstr(e.text, "0x"));
    json_decref(type);
    json_decref(segments);
    for (size_t cut = 0; cut < sizeof x; cut++) { /* truncated anywhere */
        assert_int_equal(elf_read(&x, cut, f, &e), JF_E_PARSE);
    }
    struct image y;
#define BROKEN(change)                                                                                                 \
    y = good_image();                                                                                                  \
    change;                                                                                                            \
    assert_int_equal(elf_read(&y, sizeof y, f, &e), JF_E_PARSE);                                                       \
    assert_true(e.text[0] != '\0')
    BROKEN(y.h.e_machine = EM_RISCV);
    BROKEN(y.h.e_type = ET_REL);
    BROKEN(y.h.e_ident[EI_DATA] = ELFDATA2MSB);
    BROKEN(y.h.e_ident[EI_CLASS] = ELFCLASS64);
    BROKEN(y.h.e_phnum = 0);
    BROKEN(y.h.e_phnum = 60000);
    BROKEN(y.h.e_phoff = 0xfffffff0);
    BROKEN(y.p[0].p_filesz = 0xffffffff);
    BROKEN(y.p[0].p_offset = 0xfffffff0);
    BROKEN(y.p[1].p_memsz = 4);
    BROKEN(y.p[1].p_vaddr = 0xfffffff0);
    BROKEN(y.p[0].p_type = PT_NOTE; y.p[1].p_type = PT_NULL);
    free(f);
}

static void test_blob(void **state) {
    (void)state;
    char id[BLOB_ID_SIZE], path[BLOB_PATH_SIZE];
    blob_id("abc", 3, id); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(id, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(blob_path("d", "firmware", "sha256:../../etc", path), JF_E_INVAL);
    assert_false(blob_id_valid("sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts),        cmocka_unit_test(test_job_defaults),
                                       cmocka_unit_test(test_job_mistakes), cmocka_unit_test(test_place),
                                       cmocka_unit_test(test_elf),          cmocka_unit_test(test_blob)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
