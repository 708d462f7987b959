/*
 * vectors.c
 *		The vectors that a search compares with: of the text in `data`, or of entities.
 *
 * Text is one vector as its type reads it, or a JSON array of such; binary vectors may be
 * arrays of bytes or base64, sparse ones objects with positions from 0 on, as Milvus writes them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collection/rows.h"
#include "collection/search_internal.h"
#include "guc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* ---- text ---- */

typedef struct Reader
{
	const SearchRequest *request;
	MilvusType	type;			/* of one vector */
	int			dim;
	FmgrInfo	input;
	Oid			typioparam;
	Oid			typid;			/* of one vector */
} Reader;

static const char *
skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static void pg_attribute_noreturn()
invalid_data(const Reader *reader)
{
	MilvusInvalidParameter("data of field %s is not a %s, or an array of them", reader->request->field->name,
						   reader->request->target == TARGET_LIST ? "list of vectors" : "vector");
}

/*
 * How many brackets the text begins with.
 */
static int
count_brackets(const char *p)
{
	int			n = 0;

	for (p = skip_space(p); *p == '['; p = skip_space(p + 1))
		n++;
	return n;
}

/*
 * The elements of "[a, b]", each with its own brackets, braces and quotes.
 */
static List *
split(const Reader *reader, const char *text)
{
	const char *p = skip_space(text);
	List	   *parts = NIL;

	if (*p != '[')
		invalid_data(reader);
	p = skip_space(p + 1);
	if (*p == ']')
		return NIL;
	for (;;)
	{
		const char *start = p;
		const char *end;
		int			depth = 0;

		for (; *p != '\0' && (depth > 0 || (*p != ',' && *p != ']')); p++)
		{
			if (*p == '[' || *p == '{')
				depth++;
			else if (*p == ']' || *p == '}')
				depth--;
			else if (*p == '"')
			{
				for (p++; *p != '\0' && *p != '"'; p++)
					if (*p == '\\' && p[1] != '\0')
						p++;
				if (*p == '\0')
					invalid_data(reader);
			}
		}
		if (*p == '\0')
			invalid_data(reader);
		for (end = p; end > start && strchr(" \t\r\n", end[-1]) != NULL;)
			end--;
		/* a string: what is in it; no vector has anything to be escaped */
		if (end - start >= 2 && *start == '"' && end[-1] == '"')
			parts = lappend(parts, pnstrdup(start + 1, end - start - 2));
		else
			parts = lappend(parts, pnstrdup(start, end - start));
		if (*p == ']')
			break;
		p = skip_space(p + 1);
	}
	if (*skip_space(p + 1) != '\0')
		invalid_data(reader);
	return parts;
}

static void
check_dim(const Reader *reader, int64 dim)
{
	int			bits;

	if (reader->dim == 0 || dim == reader->dim)
		return;
	bits = reader->type == MILVUS_FLOAT_VECTOR ? 32 : reader->type == MILVUS_BINARY_VECTOR ? 1 :
		reader->type == MILVUS_INT8_VECTOR ? 8 : 16;
	MilvusInvalidParameter("vector dimension mismatch, expected vector size(byte) %d, actual " INT64_FORMAT,
						   (int) ((int64) reader->dim * bits / 8), dim * bits / 8);
}

/*
 * "[5, 255]" as bits.
 */
static char *
bits_of_bytes(const Reader *reader, const char *text)
{
	StringInfoData bits;
	ListCell   *cell;

	initStringInfo(&bits);
	foreach(cell, split(reader, text))
	{
		char	   *end;
		long		byte = strtol(lfirst(cell), &end, 10);

		if (*end != '\0' || end == (char *) lfirst(cell) || byte < -128 || byte > 255)
			invalid_data(reader);
		for (int i = 7; i >= 0; i--)
			appendStringInfoChar(&bits, (byte >> i) & 1 ? '1' : '0');
	}
	return bits.data;
}

/*
 * Bytes in base64, as REST writes them.
 */
static char *
bits_of_base64(const char *text)
{
	bytea	   *bytes = DatumGetByteaPP(DirectFunctionCall2(binary_decode, CStringGetTextDatum(text), CStringGetTextDatum("base64")));
	StringInfoData bits;

	initStringInfo(&bits);
	for (int i = 0; i < (int) VARSIZE_ANY_EXHDR(bytes); i++)
		for (int bit = 7; bit >= 0; bit--)
			appendStringInfoChar(&bits, ((unsigned char) VARDATA_ANY(bytes)[i] >> bit) & 1 ? '1' : '0');
	return bits.data;
}

/*
 * {"0": 0.5, "6": 2} as {1:0.5,7:2}/dimensions.
 */
static char *
sparse_of_json(const Reader *reader, const char *text)
{
	Jsonb	   *json = JsonFromText(text);
	StringInfoData sparse;
	ListCell   *cell;
	bool		first = true;
	JsonbValue	value;
	JsonbContainer *object = &json->root;

	if (!JB_ROOT_IS_OBJECT(json))
		invalid_data(reader);
	initStringInfo(&sparse);
	appendStringInfoChar(&sparse, '{');
	if (JsonGet(object, "indices", &value) && JsonToArray(&value) != NULL)
	{
		JsonbValue	other;
		List	   *indices = JsonElements(JsonToArray(&value));
		List	   *values;

		if (!JsonGet(object, "values", &other) || JsonToArray(&other) == NULL)
			invalid_data(reader);
		values = JsonElements(JsonToArray(&other));
		if (list_length(values) != list_length(indices))
			invalid_data(reader);
		for (int i = 0; i < list_length(indices); i++)
		{
			int64		position;

			if (!JsonToInt(list_nth(indices, i), &position) || position < 0 || position >= SPARSE_DIMENSIONS)
				invalid_data(reader);
			appendStringInfo(&sparse, "%s" INT64_FORMAT ":%s", first ? "" : ",", position + 1, JsonText(list_nth(values, i)));
			first = false;
		}
	}
	else
		foreach(cell, JsonKeys(object))
		{
			char	   *end;
			unsigned long position = strtoul(lfirst(cell), &end, 10);

			if (*end != '\0' || position >= SPARSE_DIMENSIONS || !JsonGet(object, lfirst(cell), &value))
				invalid_data(reader);
			appendStringInfo(&sparse, "%s%lu:%s", first ? "" : ",", position + 1, JsonText(&value));
			first = false;
		}
	appendStringInfo(&sparse, "}/" INT64_FORMAT, SPARSE_DIMENSIONS);
	return sparse.data;
}

static Datum
vector_from_text(Reader *reader, const char *text)
{
	int32		typmod = -1;

	text = skip_space(text);
	switch (reader->type)
	{
		case MILVUS_BINARY_VECTOR:
			if (*text == '[')
				text = bits_of_bytes(reader, text);
			else if (text[strspn(text, "01")] != '\0')
				text = bits_of_base64(text);
			check_dim(reader, strlen(text));
			typmod = reader->dim > 0 ? reader->dim : -1;
			break;
		case MILVUS_SPARSE_VECTOR:
			if (*text != '{')
				ereport(ERROR,
						(errmilvus(MILVUS_UNIMPLEMENTED),
						 errmsg("full-text search, by text in data of field %s, is not supported yet", reader->request->field->name)));
			if (strstr(text, "}/") == NULL)
				text = sparse_of_json(reader, text);
			break;
		default:
			{
				int64		dim = 1;

				if (*text != '[')
					invalid_data(reader);
				if (*skip_space(text + 1) == ']')
					dim = 0;
				for (const char *p = text; *p != '\0'; p++)
					dim += *p == ',';
				check_dim(reader, dim);
			}
	}
	return InputFunctionCall(&reader->input, unconstify(char *, text), reader->typioparam, typmod);
}

static Datum
read_vector(Reader *reader, const char *text)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum vector = (Datum) 0;

	PG_TRY();
	{
		vector = vector_from_text(reader, text);
	}
	PG_CATCH();
	{
		FieldTextError(reader->request->field, context, -1);
	}
	PG_END_TRY();
	return vector;
}

static Datum
read_list(Reader *reader, const char *text)
{
	List	   *parts = split(reader, text);
	Datum	   *values = palloc(sizeof(Datum) * (list_length(parts) + 1));
	int			n = 0;
	ListCell   *cell;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (parts == NIL)
		MilvusInvalidParameter("an embedding list of field %s is empty", reader->request->field->name);
	foreach(cell, parts)
		values[n++] = read_vector(reader, lfirst(cell));
	get_typlenbyvalalign(reader->typid, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(values, n, reader->typid, typlen, typbyval, typalign));
}

static void
read_text(SearchRequest *request, Reader *reader)
{
	const char *text = skip_space(request->data);
	int			brackets = count_brackets(text);
	bool		is_many;
	List	   *parts;
	ListCell   *cell;

	if (request->target == TARGET_LIST)
		is_many = brackets > (reader->type == MILVUS_BINARY_VECTOR && strchr(text, '"') != NULL ? 1 : 2);
	else if (reader->type == MILVUS_BINARY_VECTOR)
	{
		const char *first = skip_space(text + (*text == '['));

		is_many = brackets > 1 || (brackets == 1 && (*first == '"' || *first == ']'));
	}
	else if (reader->type == MILVUS_SPARSE_VECTOR)
		is_many = brackets > 0;
	else
	{
		const char *first = skip_space(text + (*text == '['));

		is_many = brackets > 1 || (brackets == 1 && (*first == '"' || *first == ']'));
	}
	if (is_many)
		parts = split(reader, text);
	else if (*text == '"' && text[strlen(text) - 1] == '"' && text[1] != '\0')
		parts = list_make1(pnstrdup(text + 1, strlen(text) - 2));
	else
		parts = list_make1(unconstify(char *, text));
	CheckNq(list_length(parts));
	request->vectors = palloc(sizeof(Datum) * list_length(parts));
	foreach(cell, parts)
		request->vectors[request->nq++] = request->target == TARGET_LIST ? read_list(reader, lfirst(cell)) : read_vector(reader, lfirst(cell));
}

/* ---- vectors of entities ---- */

/* An entity that was asked for. */
typedef struct Wanted
{
	Datum		id;				/* int8 or text */
	int			number;			/* in the request */
	bool		found;
	Datum		vector;			/* 0: it is null */
} Wanted;

typedef struct Entities
{
	Oid			id_type;		/* of the primary key */
	Oid			wanted_type;	/* of the ids below */
	Wanted	   *wanted;			/* sorted by id */
	int			n;
} Entities;

static int
compare_wanted(const void *a, const void *b, void *arg)
{
	const Wanted *x = a;
	const Wanted *y = b;
	int			order = CompareIds(*(Oid *) arg, x->id, y->id);

	return order != 0 ? order : x->number < y->number ? -1 : x->number > y->number;
}

static int
compare_numbers(const void *a, const void *b)
{
	return ((const Wanted *) a)->number - ((const Wanted *) b)->number;
}

static bool
take_vector(TupleTableSlot *slot, void *arg)
{
	Entities   *entities = arg;
	Datum		id = slot->tts_values[0];
	int			low = 0;
	int			high = entities->n;

	if (entities->id_type == INT4OID)
		id = Int64GetDatum(DatumGetInt32(id));
	else if (entities->id_type == INT2OID)
		id = Int64GetDatum(DatumGetInt16(id));
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = CompareIds(entities->wanted_type, entities->wanted[middle].id, id);

		if (order == 0)
		{
			entities->wanted[middle].found = true;
			if (!slot->tts_isnull[1])
				entities->wanted[middle].vector = PointerGetDatum(PG_DETOAST_DATUM_COPY(slot->tts_values[1]));
			break;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}

static void
read_entities(SearchRequest *request)
{
	const Collection *collection = request->collection;
	StringInfoData sql;
	Params		params = {0};
	Oid			array_type;
	Entities	entities = {0};
	Where		where = {.collection = collection,.ids = request->search_ids};
	Datum		array = ReadIds(collection, request->search_ids, &array_type, &entities.n);
	int			n = entities.n;
	Datum	   *ids;
	StringInfoData missing;
	bool		is_text = array_type == TEXTARRAYOID;

	CheckNq(n);
	deconstruct_array(DatumGetArrayTypeP(array), is_text ? TEXTOID : INT8OID, is_text ? -1 : 8, !is_text,
					  is_text ? TYPALIGN_INT : TYPALIGN_DOUBLE, &ids, NULL, &n);
	entities.id_type = collection->primary->typid;
	entities.wanted_type = is_text ? TEXTOID : INT8OID;
	entities.wanted = palloc0(sizeof(Wanted) * n);
	for (int i = 0; i < n; i++)
	{
		entities.wanted[i].id = ids[i];
		entities.wanted[i].number = i;
	}
	qsort_arg(entities.wanted, n, sizeof(Wanted), compare_wanted, &entities.wanted_type);
	for (int i = 1; i < n; i++)
		if (CompareIds(entities.wanted_type, entities.wanted[i - 1].id, entities.wanted[i].id) == 0)
			MilvusInvalidParameter("duplicate ids are not allowed: %s", IdText(entities.wanted_type, entities.wanted[i].id));

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, %s FROM %s AS " SEARCH_ALIAS, PrimarySql(collection), ColumnSql(request->field->column), collection->relation);
	WhereAppend(&where, &sql, &params);
	StatementRun(StatementPrepare(collection, sql.data, "", &params, false), &params, take_vector, &entities);

	qsort(entities.wanted, n, sizeof(Wanted), compare_numbers);
	request->vectors = palloc(sizeof(Datum) * n);
	initStringInfo(&missing);
	for (int i = 0; i < n; i++)
	{
		const Wanted *wanted = &entities.wanted[i];

		if (!wanted->found)
			appendStringInfo(&missing, "%s%s", missing.len > 0 ? " " : "", IdText(entities.wanted_type, wanted->id));
		else if (wanted->vector == (Datum) 0)
			MilvusInvalidParameter("the vector field %s of entity %s is null", request->field->name,
								   IdText(entities.wanted_type, wanted->id));
		else
			request->vectors[request->nq++] = wanted->vector;
	}
	if (missing.len > 0)
		MilvusInvalidParameter("some of the provided primary key IDs do not exist: missing IDs = [%s]", missing.data);
}

void
ReadVectors(SearchRequest *request)
{
	const CollectionField *field = request->field;
	Reader		reader = {.request = request,.type = field->type,.dim = field->dim,.typid = field->typid};
	Oid			input;

	if (field->type == MILVUS_ARRAY_OF_VECTOR)
	{
		reader.type = field->element_type;
		reader.typid = get_element_type(field->typid);
	}
	request->vector_type = request->target == TARGET_ELEMENT ? reader.typid : field->typid;
	if (request->data != NULL && request->search_ids != NULL)
		MilvusInvalidParameter("data and ids cannot both be given");
	if (request->search_ids != NULL)
	{
		if (request->target == TARGET_ELEMENT)
			MilvusInvalidParameter("search by ids is not supported for the elements of field %s", field->name);
		read_entities(request);
		return;
	}
	if (request->data == NULL)
		MilvusInvalidParameter("either data or ids should be given");
	getTypeInputInfo(reader.typid, &input, &reader.typioparam);
	fmgr_info(input, &reader.input);
	read_text(request, &reader);
}
