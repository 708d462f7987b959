-- dev/demo.sql: the tables and the index of dev/demo, from the files of data/.
-- Run by psql in the checkout, with the variable "index" the index's options.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

DROP TABLE IF EXISTS glosses, queries, questions;

-- The files hold float16; the demo indexes float32.
CREATE TEMP TABLE incoming
	(id int, pos text, topic int, words text, definition text, embedding halfvec(384));
\copy incoming FROM 'data/glosses.copy' (FORMAT binary)
CREATE TABLE glosses
	(id int PRIMARY KEY, pos text, topic int, words text, definition text, embedding vector(384));
INSERT INTO glosses
	SELECT id, pos, topic, words, definition, embedding::vector FROM incoming ORDER BY id;

CREATE TEMP TABLE incoming_queries
	(id int, words text, definition text, embedding halfvec(384));
\copy incoming_queries FROM 'data/queries.copy' (FORMAT binary)
CREATE TABLE queries (id int PRIMARY KEY, words text, definition text, embedding vector(384));
INSERT INTO queries
	SELECT row_number() OVER (ORDER BY id), words, definition, embedding::vector
	FROM incoming_queries;

CREATE TEMP TABLE incoming_questions (id int, question text, embedding halfvec(384));
\copy incoming_questions FROM 'data/questions.copy' (FORMAT binary)
CREATE TABLE questions (id int PRIMARY KEY, question text, embedding vector(384));
INSERT INTO questions SELECT id, question, embedding::vector FROM incoming_questions;

\timing on
CREATE INDEX glosses_embedding ON glosses USING ann (embedding vector_cosine_ops)
	WITH (index_type = 'HNSW', m = 16, ef_construction = 200);
\timing off
VACUUM (ANALYZE) glosses, queries, questions;
