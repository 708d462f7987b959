-- Distances of bit strings.  Those of pgvector have its names and operators.

CREATE FUNCTION hamming_distance(bit, bit) RETURNS float8
	AS 'MODULE_PATHNAME', 'bit_hamming_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'number of bits that differ';

CREATE FUNCTION jaccard_distance(bit, bit) RETURNS float8
	AS 'MODULE_PATHNAME', 'bit_jaccard_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS '1 minus common bits by bits in either; 1 without common bits';

CREATE FUNCTION minhash_distance(bit, bit) RETURNS float8
	AS 'MODULE_PATHNAME', 'bit_minhash_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION minhash_distance(bit, bit) IS '1 minus the share of equal elements of 32 bits';

CREATE FUNCTION minhash_distance(bit, bit, integer) RETURNS float8
	AS 'MODULE_PATHNAME', 'bit_minhash_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION minhash_distance(bit, bit, integer) IS '1 minus the share of equal elements, of a width in bits (8, 16, 32, 64)';

CREATE OPERATOR <~> (
	FUNCTION = hamming_distance, LEFTARG = bit, RIGHTARG = bit,
	COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';

CREATE OPERATOR <%> (
	FUNCTION = jaccard_distance, LEFTARG = bit, RIGHTARG = bit,
	COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';

CREATE OPERATOR <%%> (
	FUNCTION = minhash_distance, LEFTARG = bit, RIGHTARG = bit,
	COMMUTATOR = <%%>
);
COMMENT ON OPERATOR <%%> (bit, bit) IS 'estimated Jaccard distance of MinHash signatures of 32-bit elements';

