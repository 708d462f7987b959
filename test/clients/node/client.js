// pg with the adapter of the package pgvector: types, an index in pgvector's syntax, a
// search.  The server comes by PGHOST and so on.  Prints TAP.
import pg from 'pg';
import { SparseVector } from 'pgvector';
import pgvector from 'pgvector/pg';

let checks = 0;
let failed = 0;

function check(good, what) {
  checks++;
  if (!good) failed++;
  console.log(`${good ? 'ok' : 'not ok'} ${checks} - ${what}`);
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Rows whose elements float16 holds exactly, and their order by distance to a query.
const rows = Array.from({ length: 200 }, (_, i) => [i % 13, (i * 7) % 31, ((i * i) % 17) / 4]);
const query = [6.5, 15.25, 2.125];

function nearest(distance) {
  return rows.map((v) => distance(v, query)).sort((a, b) => a - b).slice(0, 5);
}

const l2 = (a, b) => Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0));
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const near = (found, expected) =>
  found.length === expected.length && found.every((x, i) => Math.abs(x - expected[i]) < 1e-5);

const client = new pg.Client();
await client.connect();
await pgvector.registerTypes(client);

await client.query('CREATE TABLE node_items (id serial PRIMARY KEY, v vector(3), h halfvec(3))');
for (const row of rows) {
  await client.query('INSERT INTO node_items (v, h) VALUES ($1, $2)', [pgvector.toSql(row), pgvector.toSql(row)]);
}
const read = await client.query('SELECT v, h FROM node_items ORDER BY id');
check(same(read.rows.map((r) => r.v), rows), 'vector: rows come back as arrays');
check(same(read.rows.map((r) => r.h), rows), 'halfvec: rows come back as arrays');

await client.query('CREATE INDEX node_v ON node_items USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32)');
await client.query('CREATE INDEX node_h ON node_items USING ivfflat (h halfvec_ip_ops) WITH (lists = 4)');
await client.query('SET enable_seqscan = off');
await client.query('SET hnsw.ef_search = 100');
await client.query('SET ivfflat.probes = 4');
for (const [index, sql, expected] of [
  ['node_v', 'SELECT v <-> $1 AS d FROM node_items ORDER BY v <-> $1 LIMIT 5', nearest(l2)],
  ['node_h', 'SELECT h <#> $1 AS d FROM node_items ORDER BY h <#> $1 LIMIT 5', nearest((a, b) => -dot(a, b))],
]) {
  const found = await client.query(sql, [pgvector.toSql(query)]);
  const used = await client.query('SELECT index::text, returned_rows FROM milvus.last_search()');
  check(near(found.rows.map((r) => r.d), expected), `${index}: the five nearest`);
  check(same(used.rows[0], { index, returned_rows: '5' }), `${index}: the search went through the index`);
}

const sparse = new SparseVector({ 1: 0.5, 4: -2 }, 6);
const back = await client.query('SELECT $1::sparsevec AS s, $1::sparsevec <-> $2::sparsevec AS d', [
  pgvector.toSql(sparse),
  pgvector.toSql(new SparseVector({ 1: 3.5, 4: 2 }, 6)),
]);
check(same(back.rows[0].s.toArray(), [0, 0.5, 0, 0, -2, 0]), 'sparsevec comes back');
check(back.rows[0].d === 5, 'sparsevec: L2 distance');
const bits = await client.query('SELECT $1::bit(4) <~> $2::bit(4) AS d', ['1010', '0011']);
check(bits.rows[0].d === 2, 'bit: Hamming distance');

await client.query('CREATE TABLE node_bits (b bit(8))');
await client.query('INSERT INTO node_bits SELECT i::bit(8) FROM generate_series(0, 255) AS i');
await client.query('CREATE INDEX node_b ON node_bits USING hnsw (b bit_hamming_ops)');
const near8 = await client.query('SELECT b, b <~> $1 AS d FROM node_bits ORDER BY b <~> $1 LIMIT 9', ['11110000']);
const used = await client.query('SELECT index::text FROM milvus.last_search()');
check(near8.rows[0].b === '11110000' && same(near8.rows.map((r) => r.d), [0, 1, 1, 1, 1, 1, 1, 1, 1]), 'bit: the nine nearest');
check(used.rows[0].index === 'node_b', 'bit: the search went through the index');

await client.query('DROP TABLE node_items, node_bits');
await client.end();
console.log(`1..${checks}`);
process.exitCode = failed > 0 ? 1 : 0;
