-- Uploaded models and what became of them: one build for each model, board type, numerics and tool. A job may name a build
-- instead of a firmware; it is claimed once the build gave it one.
CREATE TABLE model (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  format TEXT NOT NULL CHECK (format IN ('tflite', 'onnx')),
  size BIGINT NOT NULL CHECK (size >= 0),
  created_ns BIGINT NOT NULL
);

CREATE TABLE build (
  id TEXT NOT NULL PRIMARY KEY,
  model TEXT NOT NULL REFERENCES model (id),
  board_type TEXT NOT NULL,
  numerics TEXT NOT NULL,
  tool TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('compiling', 'ready', 'refused', 'failed')),
  tries BIGINT NOT NULL,
  created_ns BIGINT NOT NULL,
  updated_ns BIGINT NOT NULL,
  firmware TEXT NOT NULL,
  cause_class TEXT NOT NULL,
  cause_code TEXT NOT NULL,
  cause_text TEXT NOT NULL,
  cause_part TEXT NOT NULL,
  doc TEXT NOT NULL,
  UNIQUE (model, board_type, numerics, tool),
  CHECK ((state = 'ready') = (firmware <> ''))
);
CREATE INDEX build_state ON build (state, id);

ALTER TABLE job ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN numerics TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN build TEXT NOT NULL DEFAULT '';
CREATE INDEX job_build ON job (build, state);
