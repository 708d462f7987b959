-- Iterators: pages together are the whole, each entity once, in order; tokens; errors.
SELECT milvus.create_collection('it', 3, metric_type => 'L2');
INSERT INTO it (id, vector, "$meta") SELECT i, format('[%s,%s,%s]', i % 5, i % 7, i % 3)::vector, jsonb_build_object('k', i % 4) FROM generate_series(1, 1000) i;
SELECT milvus.create_collection('names', 2, metric_type => 'COSINE', id_type => 'string', max_length => 20);
INSERT INTO names (id, vector) SELECT 'a b' || i % 10 || ' ' || i, format('[%s,%s]', 1 + i % 9, i % 11)::vector FROM generate_series(1, 300) i;

-- all pages of an iterator: places, ids, distances
CREATE FUNCTION pg_temp.pages(collection text, data text, batch integer, filter text DEFAULT '', params jsonb DEFAULT NULL, most integer DEFAULT -1)
	RETURNS TABLE (page integer, place bigint, id text, distance real) LANGUAGE plpgsql AS $$
DECLARE last text; n integer := 1; got bigint; at bigint := 0; r record; BEGIN
	LOOP
		got := 0;
		FOR r IN SELECT * FROM milvus.search_iterator(collection, data, batch_size => batch, filter => filter, search_params => params, "limit" => most, token => last) LOOP
			got := got + 1; at := at + 1; last := r.token; page := n; place := at; id := r.id; distance := r.distance; RETURN NEXT;
		END LOOP;
		EXIT WHEN got = 0;
		n := n + 1;
	END LOOP; END $$;
SELECT count(*), count(DISTINCT id), max(page) FROM pg_temp.pages('it', '[1,2,1]', 37);
-- in the order of distance and key, whatever the page's size
SELECT batch, bool_and(p.id = e.id::text AND p.distance = e.d) FROM (VALUES (1), (7), (100), (999), (1000), (5000)) AS b(batch), LATERAL pg_temp.pages('it', '[1,2,1]', batch, 'k == 2') p
	JOIN (SELECT id, l2_squared_distance(vector, '[1,2,1]')::real AS d, row_number() OVER (ORDER BY vector <-> '[1,2,1]', id) AS place FROM it WHERE ("$meta" ->> 'k')::int = 2) e USING (place) GROUP BY 1 ORDER BY 1;
SELECT count(*), bool_and(p.id = e.id AND p.distance = e.d) FROM pg_temp.pages('names', '[1,1]', 20) p
	JOIN (SELECT id, (1 - (vector <=> '[1,1]'))::real AS d, row_number() OVER (ORDER BY vector <=> '[1,1]', id COLLATE "C") AS place FROM names) e USING (place);
-- a limit over all pages, a range
SELECT count(*), max(page) FROM pg_temp.pages('it', '[1,2,1]', 10, most => 25);
SELECT count(*), max(page) FROM pg_temp.pages('it', '[1,2,1]', 10, most => 0);
SELECT count(*), min(distance), max(distance) FROM pg_temp.pages('it', '[1,2,1]', 50, params => '{"params": {"radius": 9, "range_filter": 3}}');
SELECT count(*) FROM it WHERE l2_squared_distance(vector, '[1,2,1]') >= 3 AND l2_squared_distance(vector, '[1,2,1]') < 9;
SELECT count(*), min(entity ->> 'k') FROM milvus.search_iterator('it', '[1,2,1]', batch_size => 5, output_fields => '{k}', filter => 'k == 3');
-- what is deleted between pages is gone, what is inserted behind is seen, nothing comes twice
SELECT token AS last, distance FROM milvus.search_iterator('it', '[1,2,1]', batch_size => 100) OFFSET 99 \gset
BEGIN;
DELETE FROM it WHERE id % 2 = 0;
INSERT INTO it (id, vector) VALUES (2001, '[1,2,1]'), (2002, '[90,90,90]');
SELECT count(*), count(*) FILTER (WHERE id = '2002') AS behind, count(*) FILTER (WHERE id = '2001') AS before, bool_and(distance >= :distance) FROM milvus.search_iterator('it', '[1,2,1]', token => :'last');
ROLLBACK;

-- query_iterator: in the order of keys
CREATE FUNCTION pg_temp.query_pages(collection text, batch integer, filter text DEFAULT '', most integer DEFAULT -1) RETURNS TABLE (page integer, entity jsonb) LANGUAGE plpgsql AS $$
DECLARE last text; n integer := 1; got bigint; r record; BEGIN
	LOOP
		got := 0;
		FOR r IN SELECT * FROM milvus.query_iterator(collection, batch_size => batch, filter => filter, "limit" => most, output_fields => '{id}', token => last) LOOP
			got := got + 1; last := r.token; page := n; entity := r.entity; RETURN NEXT;
		END LOOP;
		EXIT WHEN got = 0;
		n := n + 1;
	END LOOP; END $$;
SELECT batch, count(*), max(page), array_agg(entity ->> 'id') = (SELECT array_agg(id ORDER BY id) FROM names) AS same FROM (VALUES (1), (7), (300), (1000)) AS b(batch), LATERAL pg_temp.query_pages('names', batch) GROUP BY 1 ORDER BY 1;
SELECT count(*), array_agg((entity ->> 'id')::bigint) = (SELECT array_agg(id ORDER BY id) FROM it WHERE ("$meta" ->> 'k')::int = 1) AS same FROM pg_temp.query_pages('it', 33, 'k == 1');
SELECT count(*), max(page) FROM pg_temp.query_pages('it', 10, most => 25);
SELECT entity FROM milvus.query_iterator('it', batch_size => 2);

-- in a transaction of REPEATABLE READ all pages are of one snapshot (isolation tests have the other session)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM pg_temp.query_pages('it', 400);
COMMIT;

-- errors
SELECT token AS query_token FROM milvus.query_iterator('it', batch_size => 1) \gset
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', batch_size => 0);
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', batch_size => 16385);
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', "limit" => -2);
SELECT * FROM milvus.search_iterator('it', '[[1,2,1],[1,1,1]]');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', search_params => '{"offset": 3}');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', search_params => '{"group_by_field": "k"}');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', token => 'x');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', token => '616263');
-- a key of the token becomes a text of the server's
SELECT token AS name_token FROM milvus.query_iterator('names', batch_size => 1) \gset
SELECT count(*) FROM milvus.query_iterator('names', batch_size => 1, token => :'name_token' || '61');
SELECT * FROM milvus.query_iterator('names', batch_size => 1, token => :'name_token' || 'ff');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', token => :'query_token');
SELECT * FROM milvus.search_iterator('it', '[1,2,2]', token => :'last');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]', filter => 'k == 1', token => :'last');
SELECT * FROM milvus.search_iterator('names', '[1,2]', token => :'last');
SELECT * FROM milvus.query_iterator('it', token => :'last');
SELECT * FROM milvus.query_iterator('it', batch_size => -1);
SELECT * FROM milvus.query_iterator('it', filter => 'k == 1', token => :'query_token');
SELECT milvus.release_collection('it');
SELECT * FROM milvus.query_iterator('it');
SELECT * FROM milvus.search_iterator('it', '[1,2,1]');
DROP TABLE it, names;
