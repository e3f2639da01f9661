/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a configuration file and a board's catalogue entry may contain. Data only. A new driver's keys are one table and
 * one line. */
#include "daemon/conf_check.h"

#define TEXT(k, req)                                                                                                   \
    { .key = (k), .kind = CONF_TEXT, .required = (req) }
#define TEXT_OR(k, def)                                                                                                \
    { .key = (k), .kind = CONF_TEXT, .fallback = (def) }
#define WORD(k, w, req, def)                                                                                           \
    { .key = (k), .kind = CONF_TEXT, .required = (req), .words = (w), .fallback = (def) }
#define WHOLE(k, lo, hi, req, def)                                                                                     \
    { .key = (k), .kind = CONF_WHOLE, .min = (lo), .max = (hi), .required = (req), .fallback = (def) }
#define NUMBER(k, lo, hi, req, def)                                                                                    \
    { .key = (k), .kind = CONF_NUMBER, .min = (lo), .max = (hi), .required = (req), .fallback = (def) }
#define YES_NO(k, def)                                                                                                 \
    { .key = (k), .kind = CONF_BOOL, .fallback = (def) }
#define MAP(k, t, req)                                                                                                 \
    { .key = (k), .kind = CONF_MAP, .sub = (t), .required = (req) }
#define END                                                                                                            \
    { .key = NULL }

static const struct conf_field daemon_fields[] = {
    WORD("listen", "127.0.0.1|::1|localhost", false, "127.0.0.1"),
    WHOLE("port", 0, 65535, false, "8480"),
    TEXT("data_dir", true),
    TEXT("boards_dir", true),
    TEXT("jf_bench", false),
    TEXT("jf_trace", false),
    TEXT("jf_model", false),
    WHOLE("tool_threads", 1, 8, false, "2"),
    NUMBER("tool_deadline_s", 1, 3600, false, "300"),
    WHOLE("tool_memory_mib", 0, 1048576, false, "2048"),
    WHOLE("max_model_bytes", 1024, 1073741824, false, "67108864"),
    WHOLE("http_threads", 1, 64, false, "4"),
    WHOLE("max_streams", 1, 4096, false, "256"),
    WHOLE("max_firmware_bytes", 1024, 1073741824, false, "33554432"),
    WHOLE("max_input_bytes", 1024, 1073741824, false, "16777216"),
    NUMBER("lease_s", 3, 86400, false, "60"),
    WHOLE("events_keep", 100, 1000000000, false, "100000"),
    WHOLE("quarantine_after", 1, 1000, false, "3"),
    END,
};
static const struct conf_field board_fields[] = {
    {.key = "type", .kind = CONF_NAME, .required = true},
    {.key = "serial", .kind = CONF_NAME, .required = true},
    NUMBER("capacitance_f", 0, 1, false, NULL),
    NUMBER("capacitance_max_f", 0, 1, false, NULL),
    NUMBER("capacitance_tolerance", 0, 1, false, NULL),
    WORD("markers", "mlperf|phases", false, NULL),
    TEXT("note", false),
    END,
};

static const struct conf_field probe_common[] = {
    WORD("runner", "openocd", false, "openocd"),
    WORD("adapter", "st-link|st-link-tcp", true, NULL),
    TEXT("serial", true),
    END,
};
static const struct conf_field probe_usb[] = {{.key = "usb_ids", .kind = CONF_TEXTS, .min = 1, .max = 8}, END};
static const struct conf_field probe_tcp[] = {WHOLE("tcp_port", 1, 65535, true, NULL), END};
static const struct conf_variant probe_choice[] = {{"st-link", probe_usb}, {"st-link-tcp", probe_tcp}, {NULL, NULL}};

static const struct conf_field uart_fields[] = {
    TEXT("path", true),
    WHOLE("baud", 300, 4000000, false, "115200"),
    WORD("backend", "auto|libserialport|fd", false, "auto"),
    YES_NO("via_interface", NULL),
    END,
};

static const struct conf_field accuracy_fields[] = {
    NUMBER("current_gain", 0, 1, false, NULL),
    NUMBER("current_gain_below", 0, 1, false, NULL),
    NUMBER("current_offset_a", 0, 10, false, NULL),
    NUMBER("current_offset_below_a", 0, 10, false, NULL),
    NUMBER("voltage_gain", 0, 1, false, NULL),
    NUMBER("voltage_offset_v", 0, 10, false, NULL),
    WORD("kind", "limit|k2|typical", true, NULL),
    TEXT("source", true),
    END,
};
static const struct conf_field calibrated_range_fields[] = {
    WHOLE("range", 0, 7, true, NULL),
    NUMBER("gain_low", -0.5, 0.5, false, NULL),
    NUMBER("gain_high", -0.5, 0.5, true, NULL),
    NUMBER("offset_low_a", -10, 10, false, NULL),
    NUMBER("offset_high_a", -10, 10, false, NULL),
    END,
};
static const struct conf_field calibrated_voltage_fields[] = {
    NUMBER("gain_low", -0.5, 0.5, false, NULL),
    NUMBER("gain_high", -0.5, 0.5, true, NULL),
    NUMBER("offset_low_v", -10, 10, false, NULL),
    NUMBER("offset_high_v", -10, 10, false, NULL),
    END,
};
static const struct conf_field calibration_fields[] = {
    TEXT("id", true),
    TEXT("unit_serial", true),
    TEXT("date", true),
    TEXT("due", false),
    NUMBER("temperature_c", -40, 100, false, NULL),
    WORD("kind", "limit|k2", true, NULL),
    {.key = "ranges", .kind = CONF_MAPS, .min = 1, .max = 8, .sub = calibrated_range_fields},
    MAP("voltage", calibrated_voltage_fields, false),
    NUMBER("clock_ppm", 0, 100000, false, NULL),
    END,
};
static const struct conf_field channel_fields[] = {
    TEXT("channel", true),
    NUMBER("scale", -1e9, 1e9, false, NULL),
    NUMBER("offset", -1e6, 1e6, false, NULL),
    END,
};
static const struct conf_field mapping_fields[] = {
    MAP("current", channel_fields, true),
    MAP("voltage", channel_fields, false),
    {.key = "markers", .kind = CONF_TEXTS, .min = 1, .max = 8},
    END,
};
static const struct conf_field mapping_digital[] = {{.key = "markers", .kind = CONF_TEXTS, .min = 1, .max = 8}, END};

static const struct conf_field analyzer_common[] = {
    WORD("driver", "sigrok|ppk2", true, NULL),
    TEXT("serial", false),
    TEXT("conn", false),
    MAP("accuracy", accuracy_fields, false),
    MAP("calibration_record", calibration_fields, false),
    NUMBER("clock_ppm", 0, 100000, false, NULL),
    WHOLE("stall_ms", 50, 600000, false, NULL),
    NUMBER("rate_hz", 1, 1e9, false, NULL),
    END,
};
static const struct conf_field analyzer_sigrok[] = {
    TEXT("sigrok_driver", true),
    TEXT("serialcomm", false),
    {.key = "scan", .kind = CONF_FREE},
    {.key = "options", .kind = CONF_FREE},
    WORD("arm", "scpi", false, NULL),
    MAP("mapping", mapping_fields, true),
    NUMBER("current_range_a", 0, 1e4, false, NULL),
    NUMBER("resolution_a", 0, 10, false, NULL),
    NUMBER("shunt_ohm", 0, 1e6, false, NULL),
    NUMBER("marker_phase", 0, 1, false, NULL),
    WHOLE("trigger_timeout_ms", 0, 86400000, false, NULL),
    END,
};
static const struct conf_field analyzer_ppk2[] = {
    WORD("backend", "auto|libserialport|fd", false, NULL),
    YES_NO("trust_port", NULL),
    WORD("mode", "source|ampere", false, "source"),
    NUMBER("voltage_v", 0.8, 5, false, NULL),
    MAP("mapping", mapping_digital, false),
    {.key = "calibration", .kind = CONF_FREE},
    END,
};
static const struct conf_variant analyzer_choice[] = {
    {"sigrok", analyzer_sigrok}, {"ppk2", analyzer_ppk2}, {NULL, NULL}};

static const struct conf_field logic_common[] = {
    WORD("driver", "sigrok", true, NULL),
    WHOLE("sync_line", 0, 7, false, "0"),
    TEXT("serial", false),
    TEXT("conn", false),
    NUMBER("clock_ppm", 0, 100000, false, NULL),
    WHOLE("stall_ms", 50, 600000, false, NULL),
    NUMBER("rate_hz", 1, 1e9, false, NULL),
    END,
};
static const struct conf_field mapping_logic[] = {{.key = "markers", .kind = CONF_TEXTS, .min = 1, .max = 8, .required = true}, END};
static const struct conf_field logic_sigrok[] = {
    TEXT("sigrok_driver", true),
    TEXT("serialcomm", false),
    {.key = "scan", .kind = CONF_FREE},
    {.key = "options", .kind = CONF_FREE},
    MAP("mapping", mapping_logic, true),
    NUMBER("marker_phase", 0, 1, false, NULL),
    END,
};
static const struct conf_variant logic_choice[] = {{"sigrok", logic_sigrok}, {NULL, NULL}};

static const struct conf_field supply_fields[] = {
    WORD("by", "analyzer|board|none", true, NULL),
    NUMBER("voltage_v", 0.5, 30, true, NULL),
    NUMBER("tolerance_v", 0, 30, false, NULL),
    WORD("plane", "analyzer-out|board-pin|core-rail", true, NULL),
    END,
};
static const struct conf_field limit_fields[] = {NUMBER("v_min", 0, 30, false, NULL),
                                                 NUMBER("v_max", 0, 30, false, NULL), END};

static const struct conf_field bench_fields[] = {
    {.key = "name", .kind = CONF_NAME, .required = true},
    YES_NO("virtual", "false"),
    NUMBER("temperature_c", -40, 100, false, NULL),
    MAP("board", board_fields, true),
    {.key = "probe",
     .kind = CONF_CHOICE,
     .required = true,
     .words = "adapter",
     .sub = probe_common,
     .choice = probe_choice},
    MAP("uart", uart_fields, true),
    {.key = "analyzer",
     .kind = CONF_CHOICE,
     .required = true,
     .words = "driver",
     .sub = analyzer_common,
     .choice = analyzer_choice},
    {.key = "logic", .kind = CONF_CHOICE, .words = "driver", .sub = logic_common, .choice = logic_choice},
    MAP("supply", supply_fields, true),
    MAP("limits", limit_fields, false),
    END,
};

const struct conf_field conf_file_table[] = {
    MAP("daemon", daemon_fields, true),
    {.key = "benches", .kind = CONF_MAPS, .required = true, .min = 1, .max = CONF_MAX_BENCHES, .sub = bench_fields},
    END,
};

/* ---- the catalogue of boards ----------------------------------------------------------------------------------------
 */
static const struct conf_field region_fields[] = {
    {.key = "name", .kind = CONF_NAME, .required = true},
    WHOLE("start", 0, 4294967295.0, true, NULL),
    WHOLE("size", 1, 4294967296.0, true, NULL),
    WORD("kind", "flash|ram", true, NULL),
    END,
};
static const struct conf_field clock_fields[] = {NUMBER("tolerance", 0, 0.5, true, NULL), END};
static const struct conf_field chip_fields[] = {
    WHOLE("address", 0, 4294967295.0, true, NULL),
    WHOLE("value", 0, 4294967295.0, true, NULL),
    WHOLE("mask", 0, 4294967295.0, false, "0xFFFFFFFF"),
    END,
};
static const struct conf_field write_fields[] = {WHOLE("address", 0, 4294967295.0, true, NULL),
                                                 WHOLE("value", 0, 4294967295.0, true, NULL), END};
static const struct conf_field flash_fields[] = {
    TEXT("binary", false),
    TEXT("scripts_dir", false),
    TEXT("target_script", true),
    TEXT("transport", false),
    TEXT("reset_config", false),
    WHOLE("srst_delay_ms", 0, 10000, false, NULL),
    MAP("chip_id", chip_fields, true),
    {.key = "debug_clear", .kind = CONF_MAPS, .sub = write_fields, .min = 0, .max = 8},
    END,
};
const struct conf_field conf_board_table[] = {
    {.key = "name", .kind = CONF_NAME, .required = true},
    TEXT("title", true),
    TEXT("mcu", true),
    TEXT("core", false),
    TEXT("target", false),
    WORD("start", "power_cycle|probe_reset", true, NULL),
    WORD("markers", "mlperf|phases", true, NULL),
    MAP("clock", clock_fields, true),
    NUMBER("boot_s", 0.1, 600, false, NULL),
    NUMBER("off_current_a", 0, 1, false, NULL),
    WORD("idle", "spin|wfi", false, NULL),
    {.key = "regions", .kind = CONF_MAPS, .required = true, .sub = region_fields, .min = 1, .max = 32},
    MAP("flash", flash_fields, true),
    TEXT("note", false),
    END,
};
