/*
 * write.h
 *		What insert, upsert and delete share: rows of a request, and statements that are
 *		prepared once a session.
 */
#ifndef MILVUS_COLLECTION_WRITE_H
#define MILVUS_COLLECTION_WRITE_H

#include "collection/collection_internal.h"
#include "collection/rows.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"

/* ---- rows of a request (batch.c) ---- */

/*
 * Rows, value by value: that of a row's field is at [row * width + index in
 * collection->fields].  All of it belongs to the memory context it was made in.
 */
typedef struct WriteBatch
{
	const Collection *collection;
	int			width;			/* fields of the collection */
	int			nrows;
	int			room;
	Datum	   *values;
	bool	   *isnull;
	bool	   *given;			/* by the request; others are defaults, or stay as they are */
	FieldReader **readers;		/* by field; NULL: not made yet */
	struct EState *estate;		/* of defaults; NULL: none was computed */
	struct ExprState **defaults;	/* by field */
	const CollectionPartition *partition;	/* NULL: none was named */
} WriteBatch;

#define BatchIndex(batch, row, field) ((Size) (row) * (batch)->width + (field))
#define BatchKey(batch, row) \
	((batch)->values[BatchIndex(batch, row, (batch)->collection->primary - (batch)->collection->fields)])

extern WriteBatch *BatchMake(const Collection *collection, const char *partition_name);
extern FieldReader *BatchReader(WriteBatch *batch, int field);
/* Room for so many rows more, of which nothing is given; the first one's number. */
extern int	BatchAddRows(WriteBatch *batch, int n);
/* Rows of JSON: an object, or an array of objects. */
extern void BatchAddJson(WriteBatch *batch, Jsonb *data);
/* A value of JSON for a field or (field < 0) a struct array. */
extern void BatchSetJson(WriteBatch *batch, int row, int field, const char *struct_name, const JsonbValue *value);
/* A value of the column's own type. */
extern void BatchSetValue(WriteBatch *batch, int row, int field, Datum value);
/* A null was given: it stands for the default where there is one. */
extern void BatchSetNull(WriteBatch *batch, int row, int field);
/* The field of a name; -1: there is none. */
extern int	BatchField(const WriteBatch *batch, const char *name);

/* Where keys come from that the table makes. */
typedef enum BatchKeyMode
{
	KEYS_MADE,					/* from the table; the request may have them only when the collection lets it */
	KEYS_GIVEN,					/* from the request, where it has them */
	KEYS_ANEW,					/* from the table, whatever the request has */
} BatchKeyMode;

/*
 * Rows (NULL: all) are complete: fields that need a value have one.  Defaults of fields that
 * are given in some of them are computed for the others, and keys that the table makes.
 */
extern void BatchComplete(WriteBatch *batch, const int *rows, int nrows, BatchKeyMode mode);
/* Each row gets a key that the table makes. */
extern void BatchNewKeys(WriteBatch *batch);
/* ERROR when two rows have the same key, or one has none. */
extern void BatchCheckKeys(WriteBatch *batch);
/* <0, 0, >0: the order of keys in which rows are locked. */
extern int	CompareKeys(const CollectionField *primary, Datum a, Datum b);
/* Numbers of the rows in the order of their keys. */
extern int *BatchSortByKey(const WriteBatch *batch);
/* Fields that are given in one of the rows, or have a value otherwise. */
extern Bitmapset *BatchFields(const WriteBatch *batch, const int *rows, int nrows);
/* Keys as a JSON array. */
extern Datum KeysJson(const Collection *collection, const Datum *keys, int n);
extern Datum BatchKeysJson(const WriteBatch *batch);
extern ArrayType *BatchKeys(const WriteBatch *batch, const int *rows, int nrows);

/* ---- columns of a request (columns.c) ---- */

/* An array's elements become the values of a field, or a struct array.  The first makes the rows. */
extern void BatchAddColumn(WriteBatch *batch, const char *name, ArrayType *array, bool is_first);

/* ---- statements, prepared once a session (write_plan.c) ---- */

/* The name that a batch's rows have in a statement; a field's column is c<its index + 1>. */
#define BATCH_RELATION "milvus_rows"
extern char *BatchColumn(int field);

/*
 * Run a statement (params NULL: without any) whose text depends on nothing but the collection's definition.  rows: of the
 * batch, as relation BATCH_RELATION with the columns of `fields`; batch NULL: no such
 * relation.  The number of rows it changed.  Constraints that it breaks are told in Milvus's words.
 */
typedef struct WriteParams
{
	int			n;
	Oid		   *types;
	Datum	   *values;
	bool		has_filter;		/* of its templates: the plan may depend on the values */
} WriteParams;

typedef void (*WriteReturning) (Datum value, void *arg);
extern uint64 WriteExecute(const Collection *collection, const char *sql, const WriteParams *params,
						   const WriteBatch *batch, const int *rows, int nrows, const Bitmapset *fields,
						   WriteReturning returning, void *arg);

/* " AND ..." for the time to live of table t; nothing where rows live for ever. */
extern void AppendTtl(const Collection *collection, StringInfo sql, bool expired);
/* Rows with these keys that have outlived their time are deleted, as nobody sees them. */
extern void DeleteExpired(const Collection *collection, ArrayType *keys);
/* A partition that a request names, NULL: none. */
extern const CollectionPartition *WritePartition(const Collection *collection, const char *name);
/* (count, ids, timestamp), the second only with ids */
extern Datum WriteResult(FunctionCallInfo fcinfo, int64 count, Datum ids);
/* INSERT of all of a batch, which is complete; the keys in JSON. */
extern uint64 InsertBatch(WriteBatch *batch, Datum *ids);
/* "INSERT INTO table (columns) SELECT columns FROM rows" of these fields. */
extern void AppendInsert(const WriteBatch *batch, StringInfo sql, const Bitmapset *fields);

#endif							/* MILVUS_COLLECTION_WRITE_H */
