/*
 * annlog.c
 *		Logging small changes of pages whose place is known.
 *
 * GenericXLog finds out what changed by comparing whole pages byte by byte, which
 * took a quarter of an insert's time.  Where the changed bytes are known, this
 * writes the same record of the same resource manager, "Generic", without the
 * comparison: per block a sequence of (offset, length, bytes), and redo by the
 * server's own generic_redo().  As that one does, redo zeroes what lies between
 * pd_lower and pd_upper, so a page must hold zeroes there.
 *
 * Use: inside a critical section, with the buffers exclusively locked, change the
 * pages and name the changed ranges, then AnnLogFinish().
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "am/ann/ann.h"
#include "miscadmin.h"

/*
 * A page taken into the record; image: new, logged whole.
 */
void
AnnLogBuffer(AnnLog *log, int i, Buffer buffer, bool image)
{
	Assert(i < ANN_LOG_BUFFERS && i == log->nbuffers);
	log->nbuffers++;
	log->buffers[i].buffer = buffer;
	log->buffers[i].image = image;
	log->buffers[i].nranges = 0;
}

/*
 * `bytes` at `start` of the page of buffer i were changed.
 */
void
AnnLogRange(AnnLog *log, int i, const void *start, Size bytes)
{
	AnnLogPage *page = &log->buffers[i];
	AnnLogFragment *fragment = &page->ranges[page->nranges++];

	Assert(page->nranges <= ANN_LOG_RANGES);
	fragment->offset = (OffsetNumber) ((const char *) start - (char *) BufferGetPage(page->buffer));
	fragment->length = (OffsetNumber) bytes;
}

void
AnnLogFinish(AnnLog *log, Relation index)
{
	XLogRecPtr	lsn;

	Assert(CritSectionCount > 0);
	for (int i = 0; i < log->nbuffers; i++)
		MarkBufferDirty(log->buffers[i].buffer);
	if (!RelationNeedsWAL(index))
		return;
	XLogBeginInsert();
	for (int i = 0; i < log->nbuffers; i++)
	{
		AnnLogPage *page = &log->buffers[i];
		char	   *start = (char *) BufferGetPage(page->buffer);

		if (page->image)
		{
			XLogRegisterBuffer(i, page->buffer, REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
			continue;
		}
		XLogRegisterBuffer(i, page->buffer, REGBUF_STANDARD);
		for (int r = 0; r < page->nranges; r++)
		{
			XLogRegisterBufData(i, (char *) &page->ranges[r], sizeof(AnnLogFragment));
			XLogRegisterBufData(i, start + page->ranges[r].offset, page->ranges[r].length);
		}
	}
	lsn = XLogInsert(RM_GENERIC_ID, 0);
	for (int i = 0; i < log->nbuffers; i++)
		PageSetLSN(BufferGetPage(log->buffers[i].buffer), lsn);
}
