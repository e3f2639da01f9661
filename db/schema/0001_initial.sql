-- The first schema. Types TEXT, BIGINT, DOUBLE PRECISION, BLOB only, CHECKs instead of engine specialities: the same text
-- is meant for a second engine. Times are nanoseconds since 1970 (UTC); states are words of db/states.c.
CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counter (name, value) VALUES ('event', 0);

CREATE TABLE artefact (
  kind TEXT NOT NULL CHECK (kind IN ('firmware', 'input')),
  id TEXT NOT NULL,
  size BIGINT NOT NULL CHECK (size >= 0),
  created_ns BIGINT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (kind, id)
);

CREATE TABLE bench (
  name TEXT NOT NULL PRIMARY KEY,
  board_type TEXT NOT NULL,
  board_serial TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('idle', 'leased', 'recovering', 'maintenance', 'offline')),
  healthy BIGINT NOT NULL CHECK (healthy IN (0, 1)),
  reason TEXT NOT NULL,
  since_ns BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  worker_pgid BIGINT NOT NULL,
  worker_start BIGINT NOT NULL
);

CREATE TABLE job (
  id TEXT NOT NULL PRIMARY KEY,
  created_ns BIGINT NOT NULL,
  started_ns BIGINT NOT NULL,
  finished_ns BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'done', 'failed', 'canceled')),
  cancel_requested BIGINT NOT NULL CHECK (cancel_requested IN (0, 1)),
  priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 100),
  retries BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  losses BIGINT NOT NULL,
  board_type TEXT NOT NULL,
  bench TEXT NOT NULL,
  avoid TEXT NOT NULL,
  firmware TEXT NOT NULL,
  min_rate_hz DOUBLE PRECISION NOT NULL,
  needs BIGINT NOT NULL,
  attempt TEXT NOT NULL,
  on_bench TEXT NOT NULL,
  stage TEXT NOT NULL,
  result TEXT NOT NULL,
  cause_class TEXT NOT NULL,
  cause_code TEXT NOT NULL,
  cause_text TEXT NOT NULL,
  cause_part TEXT NOT NULL,
  spec TEXT NOT NULL
);
CREATE INDEX job_queue ON job (state, board_type, priority, id);

CREATE TABLE attempt (
  id TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL REFERENCES job (id),
  bench TEXT NOT NULL,
  number BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  started_ns BIGINT NOT NULL,
  finished_ns BIGINT NOT NULL,
  state TEXT NOT NULL,
  stage TEXT NOT NULL,
  result TEXT NOT NULL,
  cause_class TEXT NOT NULL,
  cause_code TEXT NOT NULL,
  cause_text TEXT NOT NULL,
  cause_part TEXT NOT NULL,
  UNIQUE (job, number)
);

CREATE TABLE lease (
  bench TEXT NOT NULL PRIMARY KEY,
  attempt TEXT NOT NULL,
  job TEXT NOT NULL,
  owner TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  expires_boot_ns BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'released', 'expired'))
);

CREATE TABLE trace (
  id TEXT NOT NULL PRIMARY KEY,
  attempt TEXT NOT NULL,
  size BIGINT NOT NULL,
  created_ns BIGINT NOT NULL,
  duration_s DOUBLE PRECISION NOT NULL
);

CREATE TABLE result (
  id TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  attempt TEXT NOT NULL UNIQUE,
  bench TEXT NOT NULL,
  board_type TEXT NOT NULL,
  board_serial TEXT NOT NULL,
  method TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('valid', 'suspect', 'invalid')),
  firmware TEXT NOT NULL,
  trace TEXT NOT NULL,
  created_ns BIGINT NOT NULL,
  energy_j DOUBLE PRECISION,
  net_energy_j DOUBLE PRECISION,
  latency_s DOUBLE PRECISION,
  u95_j DOUBLE PRECISION,
  doc TEXT NOT NULL
);
CREATE INDEX result_job ON result (job, id);
CREATE INDEX result_bench ON result (bench, id);
CREATE INDEX result_firmware ON result (firmware, id);

CREATE TABLE result_window (
  result TEXT NOT NULL REFERENCES result (id),
  idx BIGINT NOT NULL,
  energy_j DOUBLE PRECISION,
  duration_s DOUBLE PRECISION,
  doc TEXT NOT NULL,
  PRIMARY KEY (result, idx)
);

CREATE TABLE event (
  seq BIGINT NOT NULL PRIMARY KEY,
  created_ns BIGINT NOT NULL,
  type TEXT NOT NULL,
  job TEXT NOT NULL,
  attempt TEXT NOT NULL,
  bench TEXT NOT NULL,
  result TEXT NOT NULL,
  state TEXT NOT NULL,
  stage TEXT NOT NULL,
  text TEXT NOT NULL
);

CREATE TABLE idempotency (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  status BIGINT NOT NULL,
  answer TEXT NOT NULL,
  created_ns BIGINT NOT NULL,
  PRIMARY KEY (scope, key)
);
