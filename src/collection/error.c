/*
 * error.c
 *		Errors that carry Milvus's code, and constraints of ours told in Milvus's words.
 *
 * The code is in the DETAIL, "milvus_code=NNNN", so that a program reads it whatever the
 * message says.
 */
#include "postgres.h"

#include "collection/collection_internal.h"
#include "utils/builtins.h"

static int
sqlstate_of(MilvusCode code)
{
	switch (code)
	{
		case MILVUS_UNIMPLEMENTED:
		case MILVUS_INDEX_UNSUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case MILVUS_COLLECTION_NOT_FOUND:
			return ERRCODE_UNDEFINED_TABLE;
		case MILVUS_COLLECTION_NOT_LOADED:
		case MILVUS_PARTITION_NOT_LOADED:
		case MILVUS_COMPACTION:
		case MILVUS_UNEXPECTED:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case MILVUS_COLLECTION_LIMIT:
		case MILVUS_DATABASE_LIMIT:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		case MILVUS_ILLEGAL_SCHEMA:
			return ERRCODE_INVALID_TABLE_DEFINITION;
		case MILVUS_SCHEMA_MISMATCH:
			return ERRCODE_DATATYPE_MISMATCH;
		case MILVUS_PARTITION_NOT_FOUND:
		case MILVUS_INDEX_NOT_FOUND:
		case MILVUS_ALIAS_NOT_FOUND:
			return ERRCODE_UNDEFINED_OBJECT;
		case MILVUS_INDEX_DUPLICATE:
		case MILVUS_ALIAS_CONFLICT:
			return ERRCODE_DUPLICATE_OBJECT;
		case MILVUS_ALIAS_EXISTS:
			return ERRCODE_DUPLICATE_ALIAS;
		case MILVUS_DATABASE_NOT_FOUND:
			return ERRCODE_UNDEFINED_SCHEMA;
		case MILVUS_DATABASE_NAME:
		case MILVUS_FIELD_NAME:
			return ERRCODE_INVALID_NAME;
		case MILVUS_PARAMETER_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case MILVUS_PRIVILEGE:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case MILVUS_FIELD_NOT_FOUND:
			return ERRCODE_UNDEFINED_COLUMN;
		case MILVUS_SEGCORE:
			return ERRCODE_DATA_EXCEPTION;
		case MILVUS_QUERY_PLAN:
			return ERRCODE_SYNTAX_ERROR;
		case MILVUS_INVALID_PARAMETER:
		case MILVUS_MISSING_PARAMETER:
		case MILVUS_FUNCTION:
			break;
	}
	return ERRCODE_INVALID_PARAMETER_VALUE;
}

int
errmilvus(MilvusCode code)
{
	errcode(sqlstate_of(code));
	return errdetail_internal("milvus_code=%d", (int) code);
}

/*
 * format's text, whatever its length.
 */
static char *format_text(const char *format, va_list args) __attribute__((format(MILVUS_PRINTF, 1, 0)));

static char *
format_text(const char *format, va_list args)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&text, format, copy);
		va_end(copy);
		if (needed == 0)
			return text.data;
		enlargeStringInfo(&text, needed);
	}
}

void
MilvusInvalidParameter(const char *format, ...)
{
	va_list		args;
	char	   *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	ereport(ERROR,
			(errmilvus(MILVUS_INVALID_PARAMETER),
			 errmsg_internal("%s: invalid parameter", text)));
}

void
MilvusInvalidValue(const char *expected, const char *actual, const char *format, ...)
{
	va_list		args;
	char	   *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	ereport(ERROR,
			(errmilvus(MILVUS_INVALID_PARAMETER),
			 errmsg_internal("%s: invalid parameter[expected=%s][actual=%s]", text, expected, actual)));
}

void
CollectionTranslateError(const Collection *collection, const ErrorData *error, int64 row)
{
	char	   *at = row < 0 ? "" : psprintf(", row number: " INT64_FORMAT, row);

	if (error->sqlerrcode != ERRCODE_CHECK_VIOLATION || error->constraint_name == NULL)
		return;
	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];

#define BROKEN(what) (strcmp(error->constraint_name, ConstraintName(field->column, what)) == 0)
		if (BROKEN("max_length"))
			MilvusInvalidParameter("length of varchar field %s exceeds max length%s, max length: %d",
								   field->name, at, field->max_length);
		if (BROKEN("max_capacity"))
			MilvusInvalidParameter("the length of array field %s exceeds max_capacity %d%s",
								   field->name, field->max_capacity, at);
		if (BROKEN("range"))
			MilvusInvalidParameter("the value of field %s is out of range for %s%s", field->name,
								   MilvusTypeName(field->type == MILVUS_ARRAY ? field->element_type : field->type), at);
		if (BROKEN("size"))
			MilvusInvalidParameter("the length (of field %s) exceeds max length (65536) of JSON%s", field->name, at);
		if (BROKEN("elements"))
			MilvusInvalidParameter("elements of array field %s are null or too long%s", field->name, at);
		if (BROKEN("dim"))
			MilvusInvalidParameter("the dim of a vector of field %s is not equal to schema dim (%d)%s", field->name, field->dim, at);
		if (field->struct_name != NULL &&
			strcmp(error->constraint_name, ConstraintName(field->struct_name, "lengths")) == 0)
			MilvusInvalidParameter("sub-fields of struct array field %s differ in length%s", field->struct_name, at);
#undef BROKEN
	}
}
