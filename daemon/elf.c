/* SPDX-License-Identifier: GPL-2.0-or-later
 * ELF images through libelf. Refuses everything that is not plainly a Cortex-M executable (ELF for the Arm
 * Architecture, ARM IHI 0044). */
#include "daemon/elf.h"

#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_END UINT64_C(0x100000000)

static int check_header(Elf *e, size_t size, GElf_Ehdr *h, struct err *reterr) {
    if (elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, h)) {
        return err_set(reterr, JF_E_PARSE, "this is no ELF file");
    }
    if (gelf_getclass(e) != ELFCLASS32 || h->e_ident[EI_DATA] != ELFDATA2LSB) {
        return err_set(reterr, JF_E_PARSE, "this ELF file is not 32-bit little-endian");
    }
    if (h->e_machine != EM_ARM) {
        return err_set(reterr, JF_E_PARSE, "this ELF file is for machine %u, not for Arm (%u)", (unsigned)h->e_machine,
                       (unsigned)EM_ARM);
    }
    if (h->e_type != ET_EXEC) {
        return err_set(reterr, JF_E_PARSE, "this ELF file is no executable (type %u): link it", (unsigned)h->e_type);
    }
    if (h->e_phnum == 0 || h->e_phnum > 256 || h->e_phoff > size || (uint64_t)h->e_phnum * 32 > size - h->e_phoff) {
        return err_set(reterr, JF_E_PARSE, "the program headers lie outside the file: it is truncated");
    }
    return 0;
}

static int take_segment(const GElf_Phdr *p, int i, size_t size, struct elf_facts *f, struct err *reterr) {
    if (p->p_offset > size || p->p_filesz > size - p->p_offset) {
        return err_set(reterr, JF_E_PARSE, "segment %d lies outside the file: it is truncated", i);
    }
    if (p->p_filesz > p->p_memsz || p->p_paddr + p->p_filesz > MEMORY_END || p->p_vaddr + p->p_memsz > MEMORY_END) {
        return err_set(reterr, JF_E_PARSE, "segment %d has impossible sizes", i);
    }
    if (p->p_memsz == 0) {
        return 0;
    }
    if (f->n_segments >= ELF_MAX_SEGMENTS) {
        return err_set(reterr, JF_E_PARSE, "more than %d segments to load", ELF_MAX_SEGMENTS);
    }
    f->segments[f->n_segments++] = (struct elf_segment){.paddr = (uint32_t)p->p_paddr,
                                                        .vaddr = (uint32_t)p->p_vaddr,
                                                        .file_bytes = (uint32_t)p->p_filesz,
                                                        .memory_bytes = (uint32_t)p->p_memsz,
                                                        .writable = (p->p_flags & PF_W) != 0,
                                                        .executable = (p->p_flags & PF_X) != 0};
    f->flash_bytes += p->p_filesz;
    f->ram_bytes += (p->p_flags & PF_W) ? p->p_memsz : 0;
    return 0;
}

static bool take_note(Elf_Data *data, struct elf_facts *f) {
    GElf_Nhdr n;
    size_t at = 0, name, desc, next;
    for (int i = 0; i < 64 && data && (next = gelf_getnote(data, at, &n, &name, &desc)) > 0; i++, at = next) {
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp((char *)data->d_buf + name, "GNU", 4) == 0 &&
            n.n_descsz > 0 && n.n_descsz <= 40) {
            for (size_t k = 0; k < n.n_descsz; k++) {
                (void)snprintf(f->build_id + 2 * k, 3, "%02x", ((unsigned char *)data->d_buf)[desc + k]);
            }
            return true;
        }
    }
    return false;
}

static void find_build_id(Elf *e, size_t size, struct elf_facts *f) {
    Elf_Scn *scn = NULL;
    for (int i = 0; i < 4096 && (scn = elf_nextscn(e, scn)) != NULL; i++) {
        GElf_Shdr sh;
        if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE && sh.sh_offset <= size &&
            sh.sh_size <= size - sh.sh_offset && take_note(elf_getdata(scn, NULL), f)) {
            return;
        }
    }
}

int elf_read(const void *image, size_t size, struct elf_facts *ret_f, struct err *reterr) {
    if (size < 52 || memcmp(image, ELFMAG, SELFMAG) != 0) {
        return err_set(reterr, JF_E_PARSE, "this is no ELF file");
    }
    if (elf_version(EV_CURRENT) == EV_NONE) {
        return err_set(reterr, JF_E_BUG, "libelf is too old");
    }
    struct elf_facts *f = calloc(1, sizeof *f);
    char *copy = f ? malloc(size) : NULL; /* libelf may write into its image */
    if (!copy) {
        free(f);
        return err_set(reterr, JF_E_NOMEM, "no memory for the image");
    }
    memcpy(copy, image, size);
    Elf *e = elf_memory(copy, size);
    GElf_Ehdr h = {0};
    int r =
        e ? check_header(e, size, &h, reterr) : err_set(reterr, JF_E_PARSE, "this is no ELF file: %s", elf_errmsg(-1));
    for (int i = 0; r == 0 && i < (int)h.e_phnum; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(e, i, &p)) {
            r = err_set(reterr, JF_E_PARSE, "program header %d cannot be read", i);
        } else if (p.p_type == PT_LOAD) {
            r = take_segment(&p, i, size, f, reterr);
        }
    }
    if (r == 0 && f->flash_bytes == 0) {
        r = err_set(reterr, JF_E_PARSE, "this ELF file has nothing to load");
    }
    if (r == 0) {
        f->entry = (uint32_t)h.e_entry;
        find_build_id(e, size, f);
        *ret_f = *f;
    }
    (void)elf_end(e);
    free(copy);
    free(f);
    return r;
}

json_t *elf_segments_json(const struct elf_facts *f) {
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_segments; i++) {
        const struct elf_segment *s = &f->segments[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:I, s:I, s:I, s:I, s:b}", "load_address", (json_int_t)s->paddr,
                                              "address", (json_int_t)s->vaddr, "file_bytes", (json_int_t)s->file_bytes,
                                              "memory_bytes", (json_int_t)s->memory_bytes, "writable", s->writable));
    }
    return list;
}

static bool inside(const json_t *regions, int64_t from, int64_t bytes) {
    size_t i;
    const json_t *r;
    json_array_foreach(regions, i, r) {
        int64_t start = json_integer_value(json_object_get(r, "start")),
                size = json_integer_value(json_object_get(r, "size"));
        if (from >= start && from + bytes <= start + size) {
            return true;
        }
    }
    return false;
}

int elf_fits(const json_t *segments, const json_t *board_type, struct err *reterr) {
    const json_t *regions = json_object_get(board_type, "regions");
    size_t i;
    const json_t *s;
    json_array_foreach(segments, i, s) {
        int64_t load = json_integer_value(json_object_get(s, "load_address")),
                at = json_integer_value(json_object_get(s, "address"));
        int64_t file = json_integer_value(json_object_get(s, "file_bytes")),
                mem = json_integer_value(json_object_get(s, "memory_bytes"));
        if ((file > 0 && !inside(regions, load, file)) || !inside(regions, at, mem)) {
            return err_set_at(reterr, JF_E_UNSUPPORTED, "/firmware",
                              "segment %zu of this image (0x%08llx, %lld bytes) lies in no memory of %s", i,
                              (unsigned long long)(file > 0 && !inside(regions, load, file) ? load : at),
                              (long long)(file > 0 ? file : mem),
                              json_string_value(json_object_get(board_type, "name")));
        }
    }
    return 0;
}

json_t *elf_json(const struct elf_facts *f, const char *id, size_t size) {
    return json_pack("{s:s, s:I, s:I, s:I, s:s, s:s?, s:I, s:o}", "id", id, "size_bytes", (json_int_t)size,
                     "flash_bytes", (json_int_t)f->flash_bytes, "ram_bytes", (json_int_t)f->ram_bytes, "machine", "arm",
                     "build_id", f->build_id[0] ? f->build_id : NULL, "entry", (json_int_t)f->entry, "segments",
                     elf_segments_json(f));
}
