-- The type bfloat16vec: functions, operators, casts, aggregates, btree.
-- COST is explained in 10_types.sql.

-- bfloat16vec: the type

CREATE TYPE bfloat16vec;

CREATE FUNCTION bfloat16vec_in(cstring, oid, integer) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION bfloat16vec_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION bfloat16vec_out(bfloat16vec) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION bfloat16vec_out(bfloat16vec) IS 'I/O';

CREATE FUNCTION bfloat16vec_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION bfloat16vec_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION bfloat16vec_recv(internal, oid, integer) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION bfloat16vec_send(bfloat16vec) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_send(bfloat16vec) IS 'I/O';

CREATE TYPE bfloat16vec (
	INPUT = bfloat16vec_in,
	OUTPUT = bfloat16vec_out,
	TYPMOD_IN = bfloat16vec_typmod_in,
	RECEIVE = bfloat16vec_recv,
	SEND = bfloat16vec_send,
	STORAGE = external
);
COMMENT ON TYPE bfloat16vec IS 'vector of 1 to 32768 bfloat16 elements: bfloat16vec(dimensions)';

-- bfloat16vec: distances

CREATE FUNCTION l2_distance(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_distance(bfloat16vec, bfloat16vec) IS 'Euclidean distance';

CREATE FUNCTION l2_squared_distance(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_l2_squared_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_squared_distance(bfloat16vec, bfloat16vec) IS 'squared Euclidean distance';

CREATE FUNCTION inner_product(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION inner_product(bfloat16vec, bfloat16vec) IS 'inner product';

CREATE FUNCTION negative_inner_product(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION negative_inner_product(bfloat16vec, bfloat16vec) IS 'inner product times -1';

CREATE FUNCTION cosine_distance(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cosine_distance(bfloat16vec, bfloat16vec) IS '1 minus cosine of the angle; NaN for a zero vector';

CREATE FUNCTION l1_distance(bfloat16vec, bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l1_distance(bfloat16vec, bfloat16vec) IS 'sum of absolute differences (taxicab distance)';

-- bfloat16vec: properties and parts

CREATE FUNCTION vector_dims(bfloat16vec) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION vector_dims(bfloat16vec) IS 'number of dimensions';

CREATE FUNCTION l2_norm(bfloat16vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'bfloat16vec_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_norm(bfloat16vec) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(bfloat16vec) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME', 'bfloat16vec_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION l2_normalize(bfloat16vec) IS 'divided by its Euclidean norm; a zero vector stays zero';

CREATE FUNCTION subvector(bfloat16vec, integer, integer) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME', 'bfloat16vec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION subvector(bfloat16vec, integer, integer) IS 'elements from a position (counted from 1), so many';

CREATE FUNCTION binary_quantize(bfloat16vec) RETURNS bit
	AS 'MODULE_PATHNAME', 'bfloat16vec_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION binary_quantize(bfloat16vec) IS 'a bit an element, 1 where it is positive';

-- bfloat16vec: arithmetic and comparison

CREATE FUNCTION bfloat16vec_add(bfloat16vec, bfloat16vec) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_add(bfloat16vec, bfloat16vec) IS 'implementation of + operator';

CREATE FUNCTION bfloat16vec_sub(bfloat16vec, bfloat16vec) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_sub(bfloat16vec, bfloat16vec) IS 'implementation of - operator';

CREATE FUNCTION bfloat16vec_mul(bfloat16vec, bfloat16vec) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_mul(bfloat16vec, bfloat16vec) IS 'implementation of * operator';

CREATE FUNCTION bfloat16vec_concat(bfloat16vec, bfloat16vec) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_concat(bfloat16vec, bfloat16vec) IS 'implementation of || operator';

CREATE FUNCTION bfloat16vec_lt(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_lt(bfloat16vec, bfloat16vec) IS 'implementation of < operator';

CREATE FUNCTION bfloat16vec_le(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_le(bfloat16vec, bfloat16vec) IS 'implementation of <= operator';

CREATE FUNCTION bfloat16vec_eq(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_eq(bfloat16vec, bfloat16vec) IS 'implementation of = operator';

CREATE FUNCTION bfloat16vec_ne(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_ne(bfloat16vec, bfloat16vec) IS 'implementation of <> operator';

CREATE FUNCTION bfloat16vec_ge(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_ge(bfloat16vec, bfloat16vec) IS 'implementation of >= operator';

CREATE FUNCTION bfloat16vec_gt(bfloat16vec, bfloat16vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_gt(bfloat16vec, bfloat16vec) IS 'implementation of > operator';

CREATE FUNCTION bfloat16vec_cmp(bfloat16vec, bfloat16vec) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION bfloat16vec_cmp(bfloat16vec, bfloat16vec) IS 'less-equal-greater';

-- bfloat16vec: operators

CREATE OPERATOR <-> (
	FUNCTION = l2_distance, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (bfloat16vec, bfloat16vec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
	FUNCTION = negative_inner_product, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (bfloat16vec, bfloat16vec) IS 'negative inner product';

CREATE OPERATOR <=> (
	FUNCTION = cosine_distance, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (bfloat16vec, bfloat16vec) IS 'cosine distance';

CREATE OPERATOR <+> (
	FUNCTION = l1_distance, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (bfloat16vec, bfloat16vec) IS 'taxicab distance';

CREATE OPERATOR + (
	FUNCTION = bfloat16vec_add, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = +
);
COMMENT ON OPERATOR + (bfloat16vec, bfloat16vec) IS 'add element by element';

CREATE OPERATOR - (
	FUNCTION = bfloat16vec_sub, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec
);
COMMENT ON OPERATOR - (bfloat16vec, bfloat16vec) IS 'subtract element by element';

CREATE OPERATOR * (
	FUNCTION = bfloat16vec_mul, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = *
);
COMMENT ON OPERATOR * (bfloat16vec, bfloat16vec) IS 'multiply element by element';

CREATE OPERATOR || (
	FUNCTION = bfloat16vec_concat, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec
);
COMMENT ON OPERATOR || (bfloat16vec, bfloat16vec) IS 'concatenate';

CREATE OPERATOR < (
	FUNCTION = bfloat16vec_lt, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (bfloat16vec, bfloat16vec) IS 'less than';

CREATE OPERATOR <= (
	FUNCTION = bfloat16vec_le, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (bfloat16vec, bfloat16vec) IS 'less than or equal';

CREATE OPERATOR = (
	FUNCTION = bfloat16vec_eq, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel, MERGES
);
COMMENT ON OPERATOR = (bfloat16vec, bfloat16vec) IS 'equal';

CREATE OPERATOR <> (
	FUNCTION = bfloat16vec_ne, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (bfloat16vec, bfloat16vec) IS 'not equal';

CREATE OPERATOR >= (
	FUNCTION = bfloat16vec_ge, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (bfloat16vec, bfloat16vec) IS 'greater than or equal';

CREATE OPERATOR > (
	FUNCTION = bfloat16vec_gt, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (bfloat16vec, bfloat16vec) IS 'greater than';

CREATE OPERATOR CLASS bfloat16vec_ops DEFAULT FOR TYPE bfloat16vec USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 bfloat16vec_cmp(bfloat16vec, bfloat16vec);
COMMENT ON OPERATOR CLASS bfloat16vec_ops USING btree IS 'by the first element that differs, then by dimensions';

-- bfloat16vec: aggregates, which give a vector

CREATE FUNCTION bfloat16vec_accum(double precision[], bfloat16vec) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_accum(double precision[], bfloat16vec) IS 'aggregate transition function of avg(bfloat16vec) and sum(bfloat16vec)';

CREATE AGGREGATE avg(bfloat16vec) (
	SFUNC = bfloat16vec_accum,
	STYPE = double precision[],
	SSPACE = 8192,
	FINALFUNC = vector_avg,
	COMBINEFUNC = vector_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(bfloat16vec) IS 'the mean, element by element, of all input values';

CREATE AGGREGATE sum(bfloat16vec) (
	SFUNC = bfloat16vec_accum,
	STYPE = double precision[],
	SSPACE = 8192,
	FINALFUNC = vector_sum,
	COMBINEFUNC = vector_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(bfloat16vec) IS 'the sum, element by element, of all input values';

-- Casts.  From vector IMPLICIT, as to halfvec, so that an index on a bfloat16vec serves
-- queries given as vector; a mix with halfvec must say which one is meant.

CREATE FUNCTION bfloat16vec(bfloat16vec, integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME', 'vector_check_typmod' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION bfloat16vec(bfloat16vec, integer, boolean) IS 'checks the number of dimensions';

CREATE CAST (bfloat16vec AS bfloat16vec) WITH FUNCTION bfloat16vec(bfloat16vec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (bfloat16vec AS bfloat16vec) IS 'checks the number of dimensions';

CREATE FUNCTION vector_to_bfloat16vec(vector, integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION vector_to_bfloat16vec(vector, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (vector AS bfloat16vec) WITH FUNCTION vector_to_bfloat16vec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS bfloat16vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION bfloat16vec_to_vector(bfloat16vec, integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_vector(bfloat16vec, integer, boolean) IS 'exact';

CREATE CAST (bfloat16vec AS vector) WITH FUNCTION bfloat16vec_to_vector(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS vector) IS 'exact';

CREATE FUNCTION halfvec_to_bfloat16vec(halfvec, integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION halfvec_to_bfloat16vec(halfvec, integer, boolean) IS 'rounds to nearest';

CREATE CAST (halfvec AS bfloat16vec) WITH FUNCTION halfvec_to_bfloat16vec(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS bfloat16vec) IS 'rounds to nearest';

CREATE FUNCTION bfloat16vec_to_halfvec(bfloat16vec, integer, boolean) RETURNS halfvec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_halfvec(bfloat16vec, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (bfloat16vec AS halfvec) WITH FUNCTION bfloat16vec_to_halfvec(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS halfvec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_bfloat16vec(integer[], integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_bfloat16vec(integer[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (integer[] AS bfloat16vec) WITH FUNCTION array_to_bfloat16vec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS bfloat16vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_bfloat16vec(real[], integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_bfloat16vec(real[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (real[] AS bfloat16vec) WITH FUNCTION array_to_bfloat16vec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS bfloat16vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_bfloat16vec(double precision[], integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_bfloat16vec(double precision[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (double precision[] AS bfloat16vec) WITH FUNCTION array_to_bfloat16vec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS bfloat16vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_bfloat16vec(numeric[], integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_bfloat16vec(numeric[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (numeric[] AS bfloat16vec) WITH FUNCTION array_to_bfloat16vec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS bfloat16vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION bfloat16vec_to_float4(bfloat16vec, integer, boolean) RETURNS real[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_float4(bfloat16vec, integer, boolean) IS 'exact';

CREATE CAST (bfloat16vec AS real[]) WITH FUNCTION bfloat16vec_to_float4(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS real[]) IS 'exact';

CREATE FUNCTION bfloat16vec_to_float8(bfloat16vec, integer, boolean) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_float8(bfloat16vec, integer, boolean) IS 'exact';

CREATE CAST (bfloat16vec AS double precision[]) WITH FUNCTION bfloat16vec_to_float8(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS double precision[]) IS 'exact';

CREATE FUNCTION bfloat16vec_to_int4(bfloat16vec, integer, boolean) RETURNS integer[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_int4(bfloat16vec, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (bfloat16vec AS integer[]) WITH FUNCTION bfloat16vec_to_int4(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS integer[]) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION bfloat16vec_to_numeric(bfloat16vec, integer, boolean) RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_numeric(bfloat16vec, integer, boolean) IS 'keeps six digits, as real to numeric';

CREATE CAST (bfloat16vec AS numeric[]) WITH FUNCTION bfloat16vec_to_numeric(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS numeric[]) IS 'keeps six digits, as real to numeric';

