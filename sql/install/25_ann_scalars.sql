-- Operator classes of scalar columns, which may follow the vector in an index of
-- access method ann: comparisons as btree has them (support function 2), and for
-- arrays the operators of GIN.

CREATE OPERATOR FAMILY integer_ops USING ann;
COMMENT ON OPERATOR FAMILY integer_ops USING ann IS 'integers of all sizes';
CREATE OPERATOR CLASS int2_ops
	DEFAULT FOR TYPE pg_catalog.int2 USING ann FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.int2, pg_catalog.int2),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int2, pg_catalog.int2),
	OPERATOR 3 pg_catalog.= (pg_catalog.int2, pg_catalog.int2),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int2, pg_catalog.int2),
	OPERATOR 5 pg_catalog.> (pg_catalog.int2, pg_catalog.int2),
	FUNCTION 2 (pg_catalog.int2, pg_catalog.int2) pg_catalog.btint2cmp(pg_catalog.int2, pg_catalog.int2);
COMMENT ON OPERATOR CLASS int2_ops USING ann IS 'conditions on a column of type int2 beside the vector';

CREATE OPERATOR CLASS int4_ops
	DEFAULT FOR TYPE pg_catalog.int4 USING ann FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.int4, pg_catalog.int4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int4, pg_catalog.int4),
	OPERATOR 3 pg_catalog.= (pg_catalog.int4, pg_catalog.int4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int4, pg_catalog.int4),
	OPERATOR 5 pg_catalog.> (pg_catalog.int4, pg_catalog.int4),
	FUNCTION 2 (pg_catalog.int4, pg_catalog.int4) pg_catalog.btint4cmp(pg_catalog.int4, pg_catalog.int4);
COMMENT ON OPERATOR CLASS int4_ops USING ann IS 'conditions on a column of type int4 beside the vector';

CREATE OPERATOR CLASS int8_ops
	DEFAULT FOR TYPE pg_catalog.int8 USING ann FAMILY integer_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.int8, pg_catalog.int8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int8, pg_catalog.int8),
	OPERATOR 3 pg_catalog.= (pg_catalog.int8, pg_catalog.int8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int8, pg_catalog.int8),
	OPERATOR 5 pg_catalog.> (pg_catalog.int8, pg_catalog.int8),
	FUNCTION 2 (pg_catalog.int8, pg_catalog.int8) pg_catalog.btint8cmp(pg_catalog.int8, pg_catalog.int8);
COMMENT ON OPERATOR CLASS int8_ops USING ann IS 'conditions on a column of type int8 beside the vector';

ALTER OPERATOR FAMILY integer_ops USING ann ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 3 pg_catalog.= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int2, pg_catalog.int4),
	OPERATOR 5 pg_catalog.> (pg_catalog.int2, pg_catalog.int4),
	FUNCTION 2 (pg_catalog.int2, pg_catalog.int4) pg_catalog.btint24cmp(pg_catalog.int2, pg_catalog.int4),
	OPERATOR 1 pg_catalog.< (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 3 pg_catalog.= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int2, pg_catalog.int8),
	OPERATOR 5 pg_catalog.> (pg_catalog.int2, pg_catalog.int8),
	FUNCTION 2 (pg_catalog.int2, pg_catalog.int8) pg_catalog.btint28cmp(pg_catalog.int2, pg_catalog.int8),
	OPERATOR 1 pg_catalog.< (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 3 pg_catalog.= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int4, pg_catalog.int2),
	OPERATOR 5 pg_catalog.> (pg_catalog.int4, pg_catalog.int2),
	FUNCTION 2 (pg_catalog.int4, pg_catalog.int2) pg_catalog.btint42cmp(pg_catalog.int4, pg_catalog.int2),
	OPERATOR 1 pg_catalog.< (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 3 pg_catalog.= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int4, pg_catalog.int8),
	OPERATOR 5 pg_catalog.> (pg_catalog.int4, pg_catalog.int8),
	FUNCTION 2 (pg_catalog.int4, pg_catalog.int8) pg_catalog.btint48cmp(pg_catalog.int4, pg_catalog.int8),
	OPERATOR 1 pg_catalog.< (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 3 pg_catalog.= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int8, pg_catalog.int2),
	OPERATOR 5 pg_catalog.> (pg_catalog.int8, pg_catalog.int2),
	FUNCTION 2 (pg_catalog.int8, pg_catalog.int2) pg_catalog.btint82cmp(pg_catalog.int8, pg_catalog.int2),
	OPERATOR 1 pg_catalog.< (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 3 pg_catalog.= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.int8, pg_catalog.int4),
	OPERATOR 5 pg_catalog.> (pg_catalog.int8, pg_catalog.int4),
	FUNCTION 2 (pg_catalog.int8, pg_catalog.int4) pg_catalog.btint84cmp(pg_catalog.int8, pg_catalog.int4);

CREATE OPERATOR FAMILY float_ops USING ann;
COMMENT ON OPERATOR FAMILY float_ops USING ann IS 'floating-point numbers';
CREATE OPERATOR CLASS float4_ops
	DEFAULT FOR TYPE pg_catalog.float4 USING ann FAMILY float_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.float4, pg_catalog.float4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float4, pg_catalog.float4),
	OPERATOR 3 pg_catalog.= (pg_catalog.float4, pg_catalog.float4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float4, pg_catalog.float4),
	OPERATOR 5 pg_catalog.> (pg_catalog.float4, pg_catalog.float4),
	FUNCTION 2 (pg_catalog.float4, pg_catalog.float4) pg_catalog.btfloat4cmp(pg_catalog.float4, pg_catalog.float4);
COMMENT ON OPERATOR CLASS float4_ops USING ann IS 'conditions on a column of type float4 beside the vector';

CREATE OPERATOR CLASS float8_ops
	DEFAULT FOR TYPE pg_catalog.float8 USING ann FAMILY float_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.float8, pg_catalog.float8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float8, pg_catalog.float8),
	OPERATOR 3 pg_catalog.= (pg_catalog.float8, pg_catalog.float8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float8, pg_catalog.float8),
	OPERATOR 5 pg_catalog.> (pg_catalog.float8, pg_catalog.float8),
	FUNCTION 2 (pg_catalog.float8, pg_catalog.float8) pg_catalog.btfloat8cmp(pg_catalog.float8, pg_catalog.float8);
COMMENT ON OPERATOR CLASS float8_ops USING ann IS 'conditions on a column of type float8 beside the vector';

ALTER OPERATOR FAMILY float_ops USING ann ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 3 pg_catalog.= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float4, pg_catalog.float8),
	OPERATOR 5 pg_catalog.> (pg_catalog.float4, pg_catalog.float8),
	FUNCTION 2 (pg_catalog.float4, pg_catalog.float8) pg_catalog.btfloat48cmp(pg_catalog.float4, pg_catalog.float8),
	OPERATOR 1 pg_catalog.< (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 2 pg_catalog.<= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 3 pg_catalog.= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 4 pg_catalog.>= (pg_catalog.float8, pg_catalog.float4),
	OPERATOR 5 pg_catalog.> (pg_catalog.float8, pg_catalog.float4),
	FUNCTION 2 (pg_catalog.float8, pg_catalog.float4) pg_catalog.btfloat84cmp(pg_catalog.float8, pg_catalog.float4);

CREATE OPERATOR FAMILY datetime_ops USING ann;
COMMENT ON OPERATOR FAMILY datetime_ops USING ann IS 'dates and times';
CREATE OPERATOR CLASS date_ops
	DEFAULT FOR TYPE pg_catalog.date USING ann FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.date, pg_catalog.date),
	OPERATOR 2 pg_catalog.<= (pg_catalog.date, pg_catalog.date),
	OPERATOR 3 pg_catalog.= (pg_catalog.date, pg_catalog.date),
	OPERATOR 4 pg_catalog.>= (pg_catalog.date, pg_catalog.date),
	OPERATOR 5 pg_catalog.> (pg_catalog.date, pg_catalog.date),
	FUNCTION 2 (pg_catalog.date, pg_catalog.date) pg_catalog.date_cmp(pg_catalog.date, pg_catalog.date);
COMMENT ON OPERATOR CLASS date_ops USING ann IS 'conditions on a column of type date beside the vector';

CREATE OPERATOR CLASS timestamp_ops
	DEFAULT FOR TYPE pg_catalog.timestamp USING ann FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamp, pg_catalog.timestamp),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamp, pg_catalog.timestamp),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamp, pg_catalog.timestamp),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamp, pg_catalog.timestamp),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamp, pg_catalog.timestamp),
	FUNCTION 2 (pg_catalog.timestamp, pg_catalog.timestamp) pg_catalog.timestamp_cmp(pg_catalog.timestamp, pg_catalog.timestamp);
COMMENT ON OPERATOR CLASS timestamp_ops USING ann IS 'conditions on a column of type timestamp beside the vector';

CREATE OPERATOR CLASS timestamptz_ops
	DEFAULT FOR TYPE pg_catalog.timestamptz USING ann FAMILY datetime_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamptz, pg_catalog.timestamptz),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamptz, pg_catalog.timestamptz),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamptz, pg_catalog.timestamptz),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamptz, pg_catalog.timestamptz),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamptz, pg_catalog.timestamptz),
	FUNCTION 2 (pg_catalog.timestamptz, pg_catalog.timestamptz) pg_catalog.timestamptz_cmp(pg_catalog.timestamptz, pg_catalog.timestamptz);
COMMENT ON OPERATOR CLASS timestamptz_ops USING ann IS 'conditions on a column of type timestamptz beside the vector';

ALTER OPERATOR FAMILY datetime_ops USING ann ADD
	OPERATOR 1 pg_catalog.< (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 2 pg_catalog.<= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 3 pg_catalog.= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 4 pg_catalog.>= (pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 5 pg_catalog.> (pg_catalog.date, pg_catalog.timestamp),
	FUNCTION 2 (pg_catalog.date, pg_catalog.timestamp) pg_catalog.date_cmp_timestamp(pg_catalog.date, pg_catalog.timestamp),
	OPERATOR 1 pg_catalog.< (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 2 pg_catalog.<= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 3 pg_catalog.= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 4 pg_catalog.>= (pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 5 pg_catalog.> (pg_catalog.date, pg_catalog.timestamptz),
	FUNCTION 2 (pg_catalog.date, pg_catalog.timestamptz) pg_catalog.date_cmp_timestamptz(pg_catalog.date, pg_catalog.timestamptz),
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamp, pg_catalog.date),
	FUNCTION 2 (pg_catalog.timestamp, pg_catalog.date) pg_catalog.timestamp_cmp_date(pg_catalog.timestamp, pg_catalog.date),
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamp, pg_catalog.timestamptz),
	FUNCTION 2 (pg_catalog.timestamp, pg_catalog.timestamptz) pg_catalog.timestamp_cmp_timestamptz(pg_catalog.timestamp, pg_catalog.timestamptz),
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamptz, pg_catalog.date),
	FUNCTION 2 (pg_catalog.timestamptz, pg_catalog.date) pg_catalog.timestamptz_cmp_date(pg_catalog.timestamptz, pg_catalog.date),
	OPERATOR 1 pg_catalog.< (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 2 pg_catalog.<= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 3 pg_catalog.= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 4 pg_catalog.>= (pg_catalog.timestamptz, pg_catalog.timestamp),
	OPERATOR 5 pg_catalog.> (pg_catalog.timestamptz, pg_catalog.timestamp),
	FUNCTION 2 (pg_catalog.timestamptz, pg_catalog.timestamp) pg_catalog.timestamptz_cmp_timestamp(pg_catalog.timestamptz, pg_catalog.timestamp);

CREATE OPERATOR FAMILY numeric_ops USING ann;
COMMENT ON OPERATOR FAMILY numeric_ops USING ann IS 'numbers of any precision';
CREATE OPERATOR CLASS numeric_ops
	DEFAULT FOR TYPE pg_catalog.numeric USING ann FAMILY numeric_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.numeric, pg_catalog.numeric),
	OPERATOR 2 pg_catalog.<= (pg_catalog.numeric, pg_catalog.numeric),
	OPERATOR 3 pg_catalog.= (pg_catalog.numeric, pg_catalog.numeric),
	OPERATOR 4 pg_catalog.>= (pg_catalog.numeric, pg_catalog.numeric),
	OPERATOR 5 pg_catalog.> (pg_catalog.numeric, pg_catalog.numeric),
	FUNCTION 2 (pg_catalog.numeric, pg_catalog.numeric) pg_catalog.numeric_cmp(pg_catalog.numeric, pg_catalog.numeric);
COMMENT ON OPERATOR CLASS numeric_ops USING ann IS 'conditions on a column of type numeric beside the vector';

CREATE OPERATOR FAMILY text_ops USING ann;
COMMENT ON OPERATOR FAMILY text_ops USING ann IS 'texts';
CREATE OPERATOR CLASS text_ops
	DEFAULT FOR TYPE pg_catalog.text USING ann FAMILY text_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.text, pg_catalog.text),
	OPERATOR 2 pg_catalog.<= (pg_catalog.text, pg_catalog.text),
	OPERATOR 3 pg_catalog.= (pg_catalog.text, pg_catalog.text),
	OPERATOR 4 pg_catalog.>= (pg_catalog.text, pg_catalog.text),
	OPERATOR 5 pg_catalog.> (pg_catalog.text, pg_catalog.text),
	FUNCTION 2 (pg_catalog.text, pg_catalog.text) pg_catalog.bttextcmp(pg_catalog.text, pg_catalog.text);
COMMENT ON OPERATOR CLASS text_ops USING ann IS 'conditions on a column of type text beside the vector';

CREATE OPERATOR FAMILY bool_ops USING ann;
COMMENT ON OPERATOR FAMILY bool_ops USING ann IS 'truth values';
CREATE OPERATOR CLASS bool_ops
	DEFAULT FOR TYPE pg_catalog.bool USING ann FAMILY bool_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.bool, pg_catalog.bool),
	OPERATOR 2 pg_catalog.<= (pg_catalog.bool, pg_catalog.bool),
	OPERATOR 3 pg_catalog.= (pg_catalog.bool, pg_catalog.bool),
	OPERATOR 4 pg_catalog.>= (pg_catalog.bool, pg_catalog.bool),
	OPERATOR 5 pg_catalog.> (pg_catalog.bool, pg_catalog.bool),
	FUNCTION 2 (pg_catalog.bool, pg_catalog.bool) pg_catalog.btboolcmp(pg_catalog.bool, pg_catalog.bool);
COMMENT ON OPERATOR CLASS bool_ops USING ann IS 'conditions on a column of type bool beside the vector';

CREATE OPERATOR FAMILY uuid_ops USING ann;
COMMENT ON OPERATOR FAMILY uuid_ops USING ann IS 'UUIDs';
CREATE OPERATOR CLASS uuid_ops
	DEFAULT FOR TYPE pg_catalog.uuid USING ann FAMILY uuid_ops AS
	OPERATOR 1 pg_catalog.< (pg_catalog.uuid, pg_catalog.uuid),
	OPERATOR 2 pg_catalog.<= (pg_catalog.uuid, pg_catalog.uuid),
	OPERATOR 3 pg_catalog.= (pg_catalog.uuid, pg_catalog.uuid),
	OPERATOR 4 pg_catalog.>= (pg_catalog.uuid, pg_catalog.uuid),
	OPERATOR 5 pg_catalog.> (pg_catalog.uuid, pg_catalog.uuid),
	FUNCTION 2 (pg_catalog.uuid, pg_catalog.uuid) pg_catalog.uuid_cmp(pg_catalog.uuid, pg_catalog.uuid);
COMMENT ON OPERATOR CLASS uuid_ops USING ann IS 'conditions on a column of type uuid beside the vector';

-- Elements are compared by their type's own btree comparison.
CREATE OPERATOR FAMILY array_ops USING ann;
COMMENT ON OPERATOR FAMILY array_ops USING ann IS 'arrays of sortable elements';
CREATE OPERATOR CLASS array_ops
	DEFAULT FOR TYPE pg_catalog.anyarray USING ann FAMILY array_ops AS
	OPERATOR 1 pg_catalog.&& (pg_catalog.anyarray, pg_catalog.anyarray),
	OPERATOR 2 pg_catalog.@> (pg_catalog.anyarray, pg_catalog.anyarray),
	OPERATOR 3 pg_catalog.<@ (pg_catalog.anyarray, pg_catalog.anyarray),
	OPERATOR 4 pg_catalog.= (pg_catalog.anyarray, pg_catalog.anyarray),
	FUNCTION 2 pg_catalog.btarraycmp(pg_catalog.anyarray, pg_catalog.anyarray);
COMMENT ON OPERATOR CLASS array_ops USING ann IS 'conditions on an array beside the vector';
