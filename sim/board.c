/* SPDX-License-Identifier: GPL-2.0-or-later
 * The board: assembly, time, charge, the run loop. See sim/board.h. */
#include <stdlib.h>
#include <string.h>

#include "sim/board_impl.h"

#define TICK_PS INT64_C(50000000) /* charge is posted at least every 50 us while the core runs */
#define RUN_CHUNK_PS INT64_C(1000000000)
#define IDLE_CHUNK_PS INT64_C(1000000000)
#define UART_PORT 3u /* PD8, PD9 */
#define UART_AF 7

/* RM0455 section 2.3: base, size. The first rows are RAM. */
static const struct cm7_mem layout[] = {
    {.base = 0x00000000u, .size = 0x10000u, .kind = CPU_MEM_RAM}, /* ITCM */
    {.base = 0x20000000u, .size = 0x20000u, .kind = CPU_MEM_RAM}, /* DTCM */
    {.base = 0x24000000u, .size = 0x100000u, .kind = CPU_MEM_RAM}, /* AXI SRAM 1 to 3 */
    {.base = 0x30000000u, .size = 0x20000u, .kind = CPU_MEM_RAM}, /* AHB SRAM 1, 2 */
    {.base = 0x38000000u, .size = 0x8000u, .kind = CPU_MEM_RAM}, /* SRD SRAM */
    {.base = 0x38800000u, .size = 0x1000u, .kind = CPU_MEM_RAM}, /* backup SRAM */
    {.base = FLASH_BASE, .size = FLASH_SIZE, .kind = CPU_MEM_FLASH},
    {.base = 0x08FFF000u, .size = 0x1000u, .kind = CPU_MEM_ROM}, /* OTP, unique id, flash size */
};
#define LAYOUT (sizeof layout / sizeof *layout)

/* --- time and charge ----------------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 wide;

int64_t board_now_ps(const struct board *b) {
    uint64_t n = cm7_cycles(b->cpu) - b->c0;
    return b->t0_ps + (int64_t)((wide)n * (uint64_t)ELEC_PS_PER_S / b->hz);
}

/* The first cycle at or after t. */
static uint64_t cycle_at(const struct board *b, int64_t t_ps) {
    if (t_ps <= b->t0_ps) {
        return b->c0;
    }
    return b->c0 + (uint64_t)(((wide)(uint64_t)(t_ps - b->t0_ps) * b->hz + (uint64_t)ELEC_PS_PER_S - 1) / (uint64_t)ELEC_PS_PER_S);
}

void board_post(struct board *b) {
    int64_t now = board_now_ps(b);
    if (now <= b->posted_ps) {
        return;
    }
    uint64_t units = cm7_charge(b->cpu) - b->posted_charge;
    double dt_s = (double)(now - b->posted_ps) * 1e-12;
    b->posted_charge += units;
    b->posted_ps = now;
    elec_advance(b->conf.elec, now, b->base_a * dt_s + (double)units * CPU_CHARGE_C * b->core_factor);
}

static struct board_power power_of(const struct board *b) {
    return (struct board_power){.powered = b->powered,
                                .in_reset = b->nrst_low,
                                .smps = rcc_smps(&b->rcc),
                                .pll = rcc_pll_on(&b->rcc),
                                .state = cm7_state(b->cpu),
                                .core_hz = b->hz,
                                .gates = rcc_gates_on(&b->rcc),
                                .flash = flash_working(&b->flash),
                                .uart_busy = usart_busy(&b->usart),
                                .debug_enabled = cm7_debug_enabled(b->cpu),
                                .dbgmcu_cr = b->dbgmcu[1]};
}

static void note_uart(struct board *b) {
    bool busy = usart_busy(&b->usart);
    if (busy != b->was_uart_busy) {
        b->was_uart_busy = busy;
        elec_note(b->conf.elec, board_now_ps(b), busy ? ELEC_UART_BUSY : ELEC_UART_IDLE, 0);
    }
}

static void note_sleep(struct board *b) {
    enum cm7_state s = cm7_state(b->cpu);
    bool sleeps = s == CPU_SLEEP || s == CPU_DEEP;
    bool slept = b->noted == CPU_SLEEP || b->noted == CPU_DEEP;
    if (sleeps != slept) {
        elec_note(b->conf.elec, board_now_ps(b), sleeps ? ELEC_SLEEP : ELEC_WAKE, s == CPU_DEEP);
    }
    b->noted = s;
}

/* Stop mode proper: no bus or kernel clocks. DBGMCU's DBG_STOP keeps them. */
static bool in_stop(const struct board *b) { return cm7_state(b->cpu) == CPU_DEEP && !(b->dbgmcu[1] & BOARD_DBGSTOP); }

/* Clocks and base current follow the registers; called before or after any change, B2 holds either way because the
 * current that is posted is the one computed last time. */
void board_changed(void *ctx) {
    struct board *b = ctx;
    if (!b->cpu) {
        return;
    }
    uint32_t hz = rcc_cpu_hz(&b->rcc);
    if (hz != b->hz) {
        board_post(b);
        b->t0_ps = board_now_ps(b);
        b->c0 = cm7_cycles(b->cpu);
        b->hz = hz; /* B1 */
        cm7_tick_every(b->cpu, (uint64_t)TICK_PS * (hz / 1000000u) / 1000000u + 1);
    }
    bool stopped = in_stop(b);
    for (unsigned i = 0; i < BOARD_TIMERS; i++) {
        timer_clock(&b->tim[i], rcc_apb1l_on(&b->rcc, i) && !stopped ? rcc_tim1_hz(&b->rcc) : 0);
    }
    b->usart.kernel_hz = stopped ? 0 : rcc_usart3_hz(&b->rcc);
    struct board_power p = power_of(b);
    double a = board_power_a(&p);
    double factor = board_power_core_factor(p.smps);
    if (a != b->base_a || factor != b->core_factor) { // NOLINT: exact comparison of the same computation
        board_post(b);
        note_uart(b);
        note_sleep(b);
        b->base_a = a;
        b->core_factor = factor;
    }
    cm7_kick(b->cpu);
}

void board_markers_update(struct board *b) {
    uint8_t levels = 0;
    for (size_t k = 0; k < b->conf.n_markers && b->powered; k++) {
        struct board_pin p = b->conf.marker[k];
        levels |= (uint8_t)(((uint32_t)gpio_levels(&b->gpio, p.port) >> p.pin & 1u) << k);
    }
    if (levels != b->markers) {
        board_post(b);
        b->markers = levels;
        elec_markers(b->conf.elec, board_now_ps(b), levels);
    }
}

/* --- call-backs ------------------------------------------------------------------------------------------------ */

static int64_t host_now(void *ctx) { return board_now_ps(ctx); }

static void host_irq(void *ctx, unsigned irq, bool level) {
    struct board *b = ctx;
    if (b->cpu) {
        cm7_irq(b->cpu, irq, level);
    }
}

static void on_tick(void *ctx) { board_post(ctx); }

static void on_reset_request(void *ctx) {
    struct board *b = ctx;
    b->reset_asked = true;
}

static void on_flash_store(void *ctx, uint32_t addr, unsigned size, uint64_t value) {
    struct board *b = ctx;
    flash_store(&b->flash, addr, size, value);
}

static void on_flash_touched(void *ctx, uint32_t addr, uint32_t n) {
    struct board *b = ctx;
    cm7_touched(b->cpu, addr, n);
}

static double noise(struct board *b) {
    b->noise ^= b->noise << 13;
    b->noise ^= b->noise >> 7;
    b->noise ^= b->noise << 17;
    return (double)(b->noise >> 11) * 0x1p-53;
}

static uint8_t damaged(struct board *b, uint8_t byte) {
    struct faults *f = b->conf.faults;
    if (f && fault_on(f, FAULT_UART_NOISE) && noise(b) < fault_param(f, FAULT_UART_NOISE, "p") && fault_fires(f, FAULT_UART_NOISE)) {
        byte ^= (uint8_t)(1u << (b->noise & 7u));
    }
    return byte;
}

static void on_uart_sent(void *ctx, uint8_t byte) {
    struct board *b = ctx;
    bool silent = b->conf.faults && fault_fires(b->conf.faults, FAULT_UART_SILENT);
    if (gpio_af(&b->gpio, UART_PORT, 8) == UART_AF && b->conf.uart_sent && !silent) {
        b->conf.uart_sent(b->conf.uart_ctx, damaged(b, byte));
    }
}

/* --- serial line in -------------------------------------------------------------------------------------------- */

size_t board_uart_room(const struct board *b) { return BOARD_UART_QUEUE - b->rx_n; }

void board_uart_put(struct board *b, uint8_t byte) {
    if (b->rx_n < BOARD_UART_QUEUE) {
        b->rx_queue[(b->rx_head + b->rx_n++) % BOARD_UART_QUEUE] = byte;
    }
}

static void uart_feed(struct board *b) {
    if (b->rx_n == 0 || !usart_rx_ready(&b->usart)) {
        return;
    }
    bool wired = b->powered && gpio_af(&b->gpio, UART_PORT, 9) == UART_AF && usart_frame_ps(&b->usart) > 0;
    if (!wired) {
        b->rx_n = 0; /* the ST-LINK sends all the same; nobody listens */
        return;
    }
    uint8_t byte = b->rx_queue[b->rx_head];
    b->rx_head = (b->rx_head + 1) % BOARD_UART_QUEUE;
    b->rx_n--;
    usart_rx_begin(&b->usart, damaged(b, byte));
}

/* --- running --------------------------------------------------------------------------------------------------- */

static void service(struct board *b) {
    usart_service(&b->usart);
    for (unsigned i = 0; i < BOARD_TIMERS; i++) {
        if (timer_next_ps(&b->tim[i]) <= board_now_ps(b)) {
            timer_service(&b->tim[i]);
        }
    }
    flash_service(&b->flash);
    uart_feed(b);
    if (usart_busy(&b->usart) != b->was_uart_busy) {
        board_changed(b);
    }
    if (b->reset_asked) {
        board_reset(b, RCC_CAUSE_SOFTWARE);
    }
}

static int64_t next_event(const struct board *b, int64_t until) {
    int64_t t = usart_next_ps(&b->usart);
    t = t < until ? t : until;
    for (unsigned i = 0; i < BOARD_TIMERS; i++) {
        int64_t e = timer_next_ps(&b->tim[i]);
        t = e < t ? e : t;
    }
    int64_t e = flash_next_ps(&b->flash);
    return e < t ? e : t;
}

/* Nothing executes: time jumps to the next event. */
static void idle(struct board *b, int64_t until) {
    uint64_t to = cycle_at(b, next_event(b, until));
    if (cm7_state(b->cpu) == CPU_SLEEP && cm7_next_event(b->cpu) < to) {
        to = cm7_next_event(b->cpu);
    }
    cm7_idle_until(b->cpu, to > cm7_cycles(b->cpu) ? to : cm7_cycles(b->cpu) + 1);
}

void board_run_until(struct board *b, int64_t t_ps) {
    service(b);
    while (board_now_ps(b) < t_ps) {
        board_supply_check(b);
        int64_t now = board_now_ps(b);
        bool stopped = in_stop(b);
        bool runs = cm7_wake_check(b->cpu);
        if (stopped && runs) {
            rcc_stop_exit(&b->rcc);
            board_changed(b);
        }
        int64_t chunk = now + (runs ? RUN_CHUNK_PS : IDLE_CHUNK_PS);
        int64_t until = chunk < t_ps ? chunk : t_ps;
        if (runs) {
            cm7_run(b->cpu, cycle_at(b, next_event(b, until)));
        } else {
            idle(b, until);
        }
        service(b);
    }
    board_post(b);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void rom_fill(uint8_t *rom) {
    static const uint32_t uid[3] = {0x00370042u, 0x3132510Bu, 0x39383236u};
    static const uint16_t flash_kib = 2048;
    memset(rom, 0xFF, 0x1000);
    memcpy(rom + 0x800, uid, sizeof uid);
    memcpy(rom + 0x80C, &flash_kib, sizeof flash_kib);
}

static void parts_init(struct board *b) {
    static const unsigned timer_irq[BOARD_TIMERS] = {28, 29, 30, 50};
    b->host = (struct periph_host){.ctx = b, .now_ps = host_now, .irq = host_irq, .changed = board_changed};
    b->rcc.host = &b->host;
    b->usart = (struct usart){.host = &b->host, .sent = on_uart_sent, .sent_ctx = b, .irq = 39};
    b->flash = (struct flash){.host = &b->host, .touched = on_flash_touched, .faults = b->conf.faults, .mem = b->flash_mem, .irq = 4};
    for (unsigned i = 0; i < BOARD_TIMERS; i++) {
        b->tim[i] = (struct timer){.host = &b->host, .irq = timer_irq[i], .max = i == 1 || i == 2 ? 0xFFFFu : UINT32_MAX};
    }
    for (size_t k = 0; k < b->conf.n_markers; k++) { /* the idle-high line has a pull-up on the adapter */
        b->gpio.port[b->conf.marker[k].port].external |= (uint16_t)(k == 0 ? 1u << b->conf.marker[k].pin : 0);
    }
    usart_reset(&b->usart);
    flash_reset(&b->flash);
    rcc_reset(&b->rcc, RCC_CAUSE_POWER_ON);
    gpio_reset(&b->gpio);
    b->hz = RCC_HSI_HZ;
}

int board_new(const struct board_conf *conf, struct board **ret_board, struct err *reterr) {
    struct board *b = calloc(1, sizeof *b);
    if (!b) {
        return err_set(reterr, JF_E_NOMEM, "board");
    }
    int rc = 0;
    struct cm7_mem mem[LAYOUT];
    size_t at = 0;
    b->conf = *conf;
    b->noise = conf->seed | 1u;
    b->core_factor = 1.0;
    for (size_t i = 0; i < LAYOUT; i++) {
        b->memory_size += layout[i].size;
    }
    b->memory = aligned_alloc(4096, b->memory_size);
    if (!b->memory) {
        rc = err_set(reterr, JF_E_NOMEM, "board memory");
        goto fail_board;
    }
    for (size_t i = 0; i < LAYOUT; i++) {
        mem[i] = layout[i];
        mem[i].host = b->memory + at;
        if (layout[i].kind == CPU_MEM_FLASH) {
            b->flash_mem = mem[i].host;
            b->ram_size = at;
        }
        at += layout[i].size;
    }
    b->ram = b->memory;
    memset(b->ram, 0, b->ram_size);
    memset(b->flash_mem, 0xFF, FLASH_SIZE); /* as delivered */
    rom_fill(b->flash_mem + FLASH_SIZE);
    parts_init(b);
    struct cm7_bus bus = {.ctx = b, .read = board_bus_read, .write = board_bus_write, .flash_store = on_flash_store,
                          .reset_request = on_reset_request, .state_changed = board_changed, .tick = on_tick};
    rc = cm7_new(mem, LAYOUT, &bus, &b->cpu, reterr);
    if (rc < 0) {
        goto fail_board;
    }
    cm7_tick_every(b->cpu, (uint64_t)TICK_PS * (b->hz / 1000000u) / 1000000u + 1);
    board_changed(b);
    *ret_board = b;
    return 0;
fail_board:
    board_free(b);
    return rc;
}

void board_free(struct board *b) {
    if (!b) {
        return;
    }
    cm7_free(b->cpu);
    free(b->memory);
    free(b);
}

bool board_powered(const struct board *b) { return b->powered; }
double board_supply_v(const struct board *b) { return elec_supply_on(b->conf.elec) ? elec_supply_v(b->conf.elec) : 0; }
struct cpu *board_cpu(struct board *b) { return b->cpu; }

void board_info_get(const struct board *b, struct board_info *ret_info) {
    static const char *const names[] = {[CPU_RUN] = "run", [CPU_SLEEP] = "sleep", [CPU_DEEP] = "stop", [CPU_HALTED] = "halted", [CPU_LOCKUP] = "lockup", [CPU_HELD] = "reset"};
    *ret_info = (struct board_info){.core_hz = b->hz,
                                    .cycles = cm7_cycles(b->cpu),
                                    .instructions = cm7_instructions(b->cpu),
                                    .state = b->powered ? names[cm7_state(b->cpu)] : "off",
                                    .base_a = b->base_a,
                                    .resets = b->resets};
}

int board_pins_parse(const char *text, struct board_pin out[BOARD_MARKERS], size_t *ret_n, struct err *reterr) {
    size_t n = 0;
    for (const char *p = text; *p;) {
        char *end = NULL;
        unsigned port = p[0] == 'P' ? (unsigned)(p[1] - 'A') : GPIO_PORTS;
        unsigned long pin = port < GPIO_PORTS ? strtoul(p + 2, &end, 10) : 16;
        if (pin > 15 || n == BOARD_MARKERS || end == p + 2 || (*end != ',' && *end)) {
            return err_set(reterr, JF_E_INVAL, "\"%s\": pins look like PE2,PE3, at most %d of them", p, BOARD_MARKERS);
        }
        out[n++] = (struct board_pin){.port = (uint8_t)port, .pin = (uint8_t)pin};
        p = *end ? end + 1 : end;
    }
    *ret_n = n;
    return 0;
}
