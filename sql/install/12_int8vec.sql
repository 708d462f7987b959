-- The type int8vec: functions, operators, casts, aggregates, btree.
-- COST is explained in 10_types.sql.

-- int8vec: the type

CREATE TYPE int8vec;

CREATE FUNCTION int8vec_in(cstring, oid, integer) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION int8vec_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION int8vec_out(int8vec) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION int8vec_out(int8vec) IS 'I/O';

CREATE FUNCTION int8vec_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION int8vec_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION int8vec_recv(internal, oid, integer) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION int8vec_send(int8vec) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_send(int8vec) IS 'I/O';

CREATE TYPE int8vec (
	INPUT = int8vec_in,
	OUTPUT = int8vec_out,
	TYPMOD_IN = int8vec_typmod_in,
	RECEIVE = int8vec_recv,
	SEND = int8vec_send,
	STORAGE = external
);
COMMENT ON TYPE int8vec IS 'vector of 1 to 32768 integers from -128 to 127: int8vec(dimensions)';

-- int8vec: distances

CREATE FUNCTION l2_distance(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_distance(int8vec, int8vec) IS 'Euclidean distance';

CREATE FUNCTION l2_squared_distance(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_l2_squared_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_squared_distance(int8vec, int8vec) IS 'squared Euclidean distance';

CREATE FUNCTION inner_product(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION inner_product(int8vec, int8vec) IS 'inner product';

CREATE FUNCTION negative_inner_product(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION negative_inner_product(int8vec, int8vec) IS 'inner product times -1';

CREATE FUNCTION cosine_distance(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cosine_distance(int8vec, int8vec) IS '1 minus cosine of the angle; NaN for a zero vector';

CREATE FUNCTION l1_distance(int8vec, int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l1_distance(int8vec, int8vec) IS 'sum of absolute differences (taxicab distance)';

-- int8vec: properties and parts

CREATE FUNCTION vector_dims(int8vec) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION vector_dims(int8vec) IS 'number of dimensions';

CREATE FUNCTION l2_norm(int8vec) RETURNS float8
	AS 'MODULE_PATHNAME', 'int8vec_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION l2_norm(int8vec) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(int8vec) RETURNS vector
	AS 'MODULE_PATHNAME', 'int8vec_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION l2_normalize(int8vec) IS 'divided by its Euclidean norm; a zero vector stays zero';

CREATE FUNCTION subvector(int8vec, integer, integer) RETURNS int8vec
	AS 'MODULE_PATHNAME', 'int8vec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION subvector(int8vec, integer, integer) IS 'elements from a position (counted from 1), so many';

CREATE FUNCTION binary_quantize(int8vec) RETURNS bit
	AS 'MODULE_PATHNAME', 'int8vec_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION binary_quantize(int8vec) IS 'a bit an element, 1 where it is positive';

-- int8vec: arithmetic and comparison

CREATE FUNCTION int8vec_add(int8vec, int8vec) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_add(int8vec, int8vec) IS 'implementation of + operator';

CREATE FUNCTION int8vec_sub(int8vec, int8vec) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_sub(int8vec, int8vec) IS 'implementation of - operator';

CREATE FUNCTION int8vec_mul(int8vec, int8vec) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_mul(int8vec, int8vec) IS 'implementation of * operator';

CREATE FUNCTION int8vec_concat(int8vec, int8vec) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_concat(int8vec, int8vec) IS 'implementation of || operator';

CREATE FUNCTION int8vec_lt(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_lt(int8vec, int8vec) IS 'implementation of < operator';

CREATE FUNCTION int8vec_le(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_le(int8vec, int8vec) IS 'implementation of <= operator';

CREATE FUNCTION int8vec_eq(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_eq(int8vec, int8vec) IS 'implementation of = operator';

CREATE FUNCTION int8vec_ne(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_ne(int8vec, int8vec) IS 'implementation of <> operator';

CREATE FUNCTION int8vec_ge(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_ge(int8vec, int8vec) IS 'implementation of >= operator';

CREATE FUNCTION int8vec_gt(int8vec, int8vec) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_gt(int8vec, int8vec) IS 'implementation of > operator';

CREATE FUNCTION int8vec_cmp(int8vec, int8vec) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION int8vec_cmp(int8vec, int8vec) IS 'less-equal-greater';

-- int8vec: operators

CREATE OPERATOR <-> (
	FUNCTION = l2_distance, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (int8vec, int8vec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
	FUNCTION = negative_inner_product, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (int8vec, int8vec) IS 'negative inner product';

CREATE OPERATOR <=> (
	FUNCTION = cosine_distance, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (int8vec, int8vec) IS 'cosine distance';

CREATE OPERATOR <+> (
	FUNCTION = l1_distance, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (int8vec, int8vec) IS 'taxicab distance';

CREATE OPERATOR + (
	FUNCTION = int8vec_add, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = +
);
COMMENT ON OPERATOR + (int8vec, int8vec) IS 'add element by element';

CREATE OPERATOR - (
	FUNCTION = int8vec_sub, LEFTARG = int8vec, RIGHTARG = int8vec
);
COMMENT ON OPERATOR - (int8vec, int8vec) IS 'subtract element by element';

CREATE OPERATOR * (
	FUNCTION = int8vec_mul, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = *
);
COMMENT ON OPERATOR * (int8vec, int8vec) IS 'multiply element by element';

CREATE OPERATOR || (
	FUNCTION = int8vec_concat, LEFTARG = int8vec, RIGHTARG = int8vec
);
COMMENT ON OPERATOR || (int8vec, int8vec) IS 'concatenate';

CREATE OPERATOR < (
	FUNCTION = int8vec_lt, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (int8vec, int8vec) IS 'less than';

CREATE OPERATOR <= (
	FUNCTION = int8vec_le, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (int8vec, int8vec) IS 'less than or equal';

CREATE OPERATOR = (
	FUNCTION = int8vec_eq, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel, MERGES
);
COMMENT ON OPERATOR = (int8vec, int8vec) IS 'equal';

CREATE OPERATOR <> (
	FUNCTION = int8vec_ne, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (int8vec, int8vec) IS 'not equal';

CREATE OPERATOR >= (
	FUNCTION = int8vec_ge, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (int8vec, int8vec) IS 'greater than or equal';

CREATE OPERATOR > (
	FUNCTION = int8vec_gt, LEFTARG = int8vec, RIGHTARG = int8vec,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (int8vec, int8vec) IS 'greater than';

CREATE OPERATOR CLASS int8vec_ops DEFAULT FOR TYPE int8vec USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 int8vec_cmp(int8vec, int8vec);
COMMENT ON OPERATOR CLASS int8vec_ops USING btree IS 'by the first element that differs, then by dimensions';

-- int8vec: aggregates, which give a vector

CREATE FUNCTION int8vec_accum(double precision[], int8vec) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_accum(double precision[], int8vec) IS 'aggregate transition function of avg(int8vec) and sum(int8vec)';

CREATE AGGREGATE avg(int8vec) (
	SFUNC = int8vec_accum,
	STYPE = double precision[],
	SSPACE = 8192,
	FINALFUNC = vector_avg,
	COMBINEFUNC = vector_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(int8vec) IS 'the mean, element by element, of all input values';

CREATE AGGREGATE sum(int8vec) (
	SFUNC = int8vec_accum,
	STYPE = double precision[],
	SSPACE = 8192,
	FINALFUNC = vector_sum,
	COMBINEFUNC = vector_combine,
	INITCOND = '{0}',
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(int8vec) IS 'the sum, element by element, of all input values';

-- Casts.  None is IMPLICIT: what rounds to integers should be asked for.

CREATE FUNCTION int8vec(int8vec, integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME', 'vector_check_typmod' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1;
COMMENT ON FUNCTION int8vec(int8vec, integer, boolean) IS 'checks the number of dimensions';

CREATE CAST (int8vec AS int8vec) WITH FUNCTION int8vec(int8vec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (int8vec AS int8vec) IS 'checks the number of dimensions';

CREATE FUNCTION vector_to_int8vec(vector, integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION vector_to_int8vec(vector, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (vector AS int8vec) WITH FUNCTION vector_to_int8vec(vector, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (vector AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION int8vec_to_vector(int8vec, integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_vector(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS vector) WITH FUNCTION int8vec_to_vector(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS vector) IS 'exact';

CREATE FUNCTION halfvec_to_int8vec(halfvec, integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION halfvec_to_int8vec(halfvec, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (halfvec AS int8vec) WITH FUNCTION halfvec_to_int8vec(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION int8vec_to_halfvec(int8vec, integer, boolean) RETURNS halfvec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_halfvec(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS halfvec) WITH FUNCTION int8vec_to_halfvec(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS halfvec) IS 'exact';

CREATE FUNCTION bfloat16vec_to_int8vec(bfloat16vec, integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION bfloat16vec_to_int8vec(bfloat16vec, integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (bfloat16vec AS int8vec) WITH FUNCTION bfloat16vec_to_int8vec(bfloat16vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bfloat16vec AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION int8vec_to_bfloat16vec(int8vec, integer, boolean) RETURNS bfloat16vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_bfloat16vec(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS bfloat16vec) WITH FUNCTION int8vec_to_bfloat16vec(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS bfloat16vec) IS 'exact';

CREATE FUNCTION array_to_int8vec(integer[], integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_int8vec(integer[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (integer[] AS int8vec) WITH FUNCTION array_to_int8vec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_int8vec(real[], integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_int8vec(real[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (real[] AS int8vec) WITH FUNCTION array_to_int8vec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_int8vec(double precision[], integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_int8vec(double precision[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (double precision[] AS int8vec) WITH FUNCTION array_to_int8vec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION array_to_int8vec(numeric[], integer, boolean) RETURNS int8vec
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION array_to_int8vec(numeric[], integer, boolean) IS 'rounds to nearest; error if out of range';

CREATE CAST (numeric[] AS int8vec) WITH FUNCTION array_to_int8vec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS int8vec) IS 'rounds to nearest; error if out of range';

CREATE FUNCTION int8vec_to_float4(int8vec, integer, boolean) RETURNS real[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_float4(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS real[]) WITH FUNCTION int8vec_to_float4(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS real[]) IS 'exact';

CREATE FUNCTION int8vec_to_float8(int8vec, integer, boolean) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_float8(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS double precision[]) WITH FUNCTION int8vec_to_float8(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS double precision[]) IS 'exact';

CREATE FUNCTION int8vec_to_int4(int8vec, integer, boolean) RETURNS integer[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_int4(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS integer[]) WITH FUNCTION int8vec_to_int4(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS integer[]) IS 'exact';

CREATE FUNCTION int8vec_to_numeric(int8vec, integer, boolean) RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION int8vec_to_numeric(int8vec, integer, boolean) IS 'exact';

CREATE CAST (int8vec AS numeric[]) WITH FUNCTION int8vec_to_numeric(int8vec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (int8vec AS numeric[]) IS 'exact';

