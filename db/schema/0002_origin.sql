-- Results that have no attempt of their own: imported sessions and re-analyses of a stored trace. The table is made anew
-- because UNIQUE (attempt) cannot be taken back otherwise; its windows go along because they refer to it.
CREATE TABLE result_v2 (
  id TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  attempt TEXT NOT NULL,
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
  doc TEXT NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('measured', 'imported', 'reanalysed')),
  source_result TEXT REFERENCES result_v2 (id),
  model TEXT NOT NULL,
  numerics TEXT NOT NULL,
  CHECK ((origin = 'measured') = (attempt <> '')),
  CHECK ((origin = 'reanalysed') = (source_result IS NOT NULL))
);
INSERT INTO result_v2
  SELECT id, job, attempt, bench, board_type, board_serial, method, verdict, firmware, trace, created_ns, energy_j,
         net_energy_j, latency_s, u95_j, doc, 'measured', NULL, '', ''
  FROM result;
CREATE TABLE result_window_v2 (
  result TEXT NOT NULL REFERENCES result_v2 (id),
  idx BIGINT NOT NULL,
  energy_j DOUBLE PRECISION,
  duration_s DOUBLE PRECISION,
  doc TEXT NOT NULL,
  PRIMARY KEY (result, idx)
);
INSERT INTO result_window_v2 SELECT result, idx, energy_j, duration_s, doc FROM result_window;
DROP TABLE result_window;
DROP TABLE result;
ALTER TABLE result_v2 RENAME TO result;
ALTER TABLE result_window_v2 RENAME TO result_window;
CREATE UNIQUE INDEX result_attempt ON result (attempt) WHERE attempt <> '';
CREATE INDEX result_job ON result (job, id);
CREATE INDEX result_bench ON result (bench, id);
CREATE INDEX result_firmware ON result (firmware, id);
CREATE INDEX result_source ON result (source_result, id) WHERE source_result IS NOT NULL;
CREATE INDEX result_model ON result (model, id);

-- D5: a result never changes. Triggers are the one thing here that another engine spells differently.
CREATE TRIGGER result_keeps BEFORE UPDATE ON result
  BEGIN SELECT RAISE (ABORT, 'D5: a result never changes'); END;
CREATE TRIGGER result_stays BEFORE DELETE ON result
  BEGIN SELECT RAISE (ABORT, 'D5: a result stays'); END;
CREATE TRIGGER result_window_keeps BEFORE UPDATE ON result_window
  BEGIN SELECT RAISE (ABORT, 'D5: a window never changes'); END;
CREATE TRIGGER result_window_stays BEFORE DELETE ON result_window
  BEGIN SELECT RAISE (ABORT, 'D5: a window stays'); END;
