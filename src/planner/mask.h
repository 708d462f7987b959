/*
 * mask.h
 *		Nearest neighbours among the rows that other indexes find.  Private to
 *		src/planner, but for MaskInstall(); README.md explains the parts.
 */
#ifndef MILVUS_MASK_H
#define MILVUS_MASK_H

#include "nodes/extensible.h"

extern void MaskInstall(void);

/* custom_private of paths and plans: a list of integers, in this order. */
typedef enum MaskPrivate
{
	MASK_PRIVATE_POST,      /* begin without the bitmap */
	MASK_PRIVATE_LIMIT,     /* rows expected to be asked for, 0: not known */
	MASK_PRIVATE_MASK_COST, /* until a masked search knows its first row; hundredths */
	MASK_PRIVATE_ROW_COST,  /* of fetching and testing a row; hundredths */
	MASK_PRIVATE_EXPECTED   /* rows that post-checking is likely to test */
} MaskPrivate;

/* Children, of paths and plans: a scan of the ann index, and what makes the bitmap. */
typedef enum MaskChild
{
	MASK_CHILD_INDEX,
	MASK_CHILD_BITMAP
} MaskChild;

/* Rows of a set up to which they are fetched and sorted. */
#define MASK_EXACT_ROWS 32

extern const CustomScanMethods MaskScanMethods;

#endif /* MILVUS_MASK_H */
