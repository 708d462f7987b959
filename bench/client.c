/*-------------------------------------------------------------------------
 *
 * client.c
 *	  A libpq client that sends one prepared statement over and over and
 *	  records what each execution took and returned.
 *
 * An interpreter's driver costs more per query than the searches measured
 * here, so the loop is in C: parameters lie ready in wire form, results
 * come back in binary, and nothing is allocated inside the timed region
 * but what libpq itself allocates.  The program knows nothing about index
 * methods or vector types: bench/server.py drives it, line by line over
 * standard input, so that one warm connection serves a whole sweep.
 *
 *	  client CONNINFO
 *
 *	  sql TEXT                          execute TEXT
 *	  parameters FILE                   load parameters (layout below)
 *	  prepare TEXT                      prepare TEXT as the statement
 *	  search K PASSES SECONDS FIRST OUT run until PASSES x all parameters
 *	                                    and SECONDS have both been reached
 *	  insert ROWS SECONDS RATE FIRST OUT
 *	                                    run until ROWS or SECONDS is reached, at
 *	                                    RATE rows a second (0: as fast as it goes)
 *
 * Every command is answered by one line, "ok COUNT ELAPSED_NS" or
 * "error MESSAGE"; before the first comes "ok BACKEND_PID 0".  End of input
 * ends the program.
 *
 * A parameter file is { int32 count; int32 width; } followed by count
 * values of width bytes as the server's binary input takes them.  search
 * passes one value as $1 and starts with number FIRST; insert passes a
 * running int4 that starts with FIRST as $1 and the value as $2.  An output
 * file is a sequence of records { int64 start_ns, latency_ns; int32
 * parameter, rows, ids[K]; } in native byte order; ids past rows are -1.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#define STATEMENT "s"
#define MAX_K 1000
#define NS_PER_SECOND 1000000000LL

/* The fixed part of an output record; K int32 ids follow. */
typedef struct RecordHeader
{
	int64_t		start_ns;
	int64_t		latency_ns;
	int32_t		parameter;
	int32_t		rows;
} RecordHeader;

/* Parameters in wire form: count values of width bytes each. */
typedef struct Parameters
{
	int32_t		count;
	int32_t		width;
	char	   *values;
} Parameters;

/* Records of one command, kept in memory until the timed loop has ended. */
typedef struct Records
{
	char	   *data;
	size_t		width;			/* bytes of one record */
	size_t		count;
	size_t		capacity;
} Records;

static PGconn *conn;
static Parameters parameters;

static int64_t now_ns(void);
static void reply_ok(int64_t count, int64_t elapsed_ns);
static void reply_error(const char *format,...) __attribute__((format(printf, 1, 2)));
static bool command_ok(PGresult *result);
static void run_sql(const char *text);
static void run_prepare(const char *text);
static void run_parameters(const char *path);
static void run_search(const char *arguments);
static void run_insert(const char *arguments);
static void *records_next(Records *records);
static bool records_write(const Records *records, const char *path);

/*
 * Connect, then obey one command a line until the input ends.
 */
int
main(int argc, char **argv)
{
	char	   *line = NULL;
	size_t		capacity = 0;
	ssize_t		length;

	if (argc != 2)
	{
		fprintf(stderr, "usage: %s CONNINFO\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK)
	{
		reply_error("%s", PQerrorMessage(conn));
		return 1;
	}
	reply_ok(PQbackendPID(conn), 0);

	while ((length = getline(&line, &capacity, stdin)) > 0)
	{
		char	   *argument;

		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		argument = strchr(line, ' ');
		if (argument == NULL)
		{
			reply_error("command without argument: %s", line);
			continue;
		}
		*argument++ = '\0';

		if (strcmp(line, "sql") == 0)
			run_sql(argument);
		else if (strcmp(line, "prepare") == 0)
			run_prepare(argument);
		else if (strcmp(line, "parameters") == 0)
			run_parameters(argument);
		else if (strcmp(line, "search") == 0)
			run_search(argument);
		else if (strcmp(line, "insert") == 0)
			run_insert(argument);
		else
			reply_error("unknown command: %s", line);
	}

	free(line);
	free(parameters.values);
	PQfinish(conn);
	return 0;
}

/*
 * Nanoseconds of the monotonic clock, which all processes of a machine share.
 */
static int64_t
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/*
 * Answer the current command: count executions took elapsed_ns.
 */
static void
reply_ok(int64_t count, int64_t elapsed_ns)
{
	printf("ok %lld %lld\n", (long long) count, (long long) elapsed_ns);
}

/*
 * Answer the current command with an error.  The message is made one line,
 * as the reader of the answer expects.
 */
static void
reply_error(const char *format,...)
{
	char		message[2048];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	for (char *c = message; *c != '\0'; c++)
	{
		if (*c == '\n')
			*c = c[1] == '\0' ? '\0' : ' ';
	}
	printf("error %s\n", message);
}

/*
 * Did the server accept the command?  Answers with its error if not.
 * Consumes the result.
 */
static bool
command_ok(PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	bool		ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (!ok)
		reply_error("%s", PQerrorMessage(conn));
	PQclear(result);
	return ok;
}

/*
 * Execute a statement without parameters and throw its rows away.
 */
static void
run_sql(const char *text)
{
	int64_t		start = now_ns();

	if (command_ok(PQexec(conn, text)))
		reply_ok(1, now_ns() - start);
}

/*
 * Prepare the statement that search and insert execute.  Parameter types are
 * the server's to infer: extension types have no fixed OID.
 */
static void
run_prepare(const char *text)
{
	int64_t		start = now_ns();

	PQclear(PQexec(conn, "DEALLOCATE ALL"));
	if (command_ok(PQprepare(conn, STATEMENT, text, 0, NULL)))
		reply_ok(1, now_ns() - start);
}

/*
 * Load a parameter file in place of the one loaded before.
 */
static void
run_parameters(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	int32_t		header[2];
	size_t		size;

	free(parameters.values);
	parameters = (Parameters) {0};

	if (file == NULL)
	{
		reply_error("could not open \"%s\": %s", path, strerror(errno));
		return;
	}
	if (fread(header, sizeof(header), 1, file) != 1 || header[0] <= 0 || header[1] <= 0)
	{
		reply_error("\"%s\" is not a parameter file", path);
		fclose(file);
		return;
	}
	size = (size_t) header[0] * header[1];
	parameters.values = malloc(size);
	if (parameters.values == NULL || fread(parameters.values, 1, size, file) != size)
		reply_error("could not read %zu bytes of parameters from \"%s\"", size, path);
	else
	{
		parameters.count = header[0];
		parameters.width = header[1];
		reply_ok(parameters.count, 0);
	}
	fclose(file);
}

/*
 * search K PASSES SECONDS FIRST OUT: one statement a parameter, in turn.
 */
static void
run_search(const char *arguments)
{
	int			k;
	int			passes;
	double		seconds;
	int			first;
	int			offset = 0;
	int64_t		minimum;
	int64_t		start;
	int64_t		deadline;
	int64_t		end;
	Records		records = {0};

	if (sscanf(arguments, "%d %d %lf %d %n", &k, &passes, &seconds, &first, &offset) != 4 ||
		offset == 0 || k < 1 || k > MAX_K || passes < 0 || first < 0 || parameters.count == 0)
	{
		reply_error("search wants K PASSES SECONDS FIRST OUT and parameters, not \"%s\"", arguments);
		return;
	}

	records.width = sizeof(RecordHeader) + k * sizeof(int32_t);
	minimum = (int64_t) passes * parameters.count;
	start = now_ns();
	deadline = start + (int64_t) (seconds * NS_PER_SECOND);
	end = start;
	for (int64_t i = 0; i < minimum || end < deadline; i++)
	{
		int			number = (int) ((first + i) % parameters.count);
		const char *value = parameters.values + (size_t) number * parameters.width;
		int			format = 1;
		PGresult   *result;
		RecordHeader header = {.parameter = number};
		char	   *record = records_next(&records);
		int			rows;

		header.start_ns = now_ns();
		result = PQexecPrepared(conn, STATEMENT, 1, &value, &parameters.width, &format, 1);
		end = now_ns();
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
		{
			reply_error("%s", PQerrorMessage(conn));
			PQclear(result);
			free(records.data);
			return;
		}

		rows = PQntuples(result);
		header.latency_ns = end - header.start_ns;
		header.rows = rows < k ? rows : k;
		memcpy(record, &header, sizeof(header));
		record += sizeof(header);
		for (int row = 0; row < k; row++, record += sizeof(int32_t))
		{
			int32_t		id = -1;

			if (row < rows)
			{
				memcpy(&id, PQgetvalue(result, row, 0), sizeof(id));
				id = (int32_t) ntohl((uint32_t) id);
			}
			memcpy(record, &id, sizeof(id));
		}
		PQclear(result);
	}
	end = now_ns();

	if (records_write(&records, arguments + offset))
		reply_ok((int64_t) records.count, end - start);
	free(records.data);
}

/*
 * insert ROWS SECONDS RATE FIRST OUT: one statement, and so one transaction, a row.
 */
static void
run_insert(const char *arguments)
{
	long long	rows;
	double		seconds;
	double		rate;
	int			first;
	int			offset = 0;
	int64_t		start;
	int64_t		deadline;
	int64_t		end;
	Records		records = {.width = sizeof(RecordHeader)};

	if (sscanf(arguments, "%lld %lf %lf %d %n", &rows, &seconds, &rate, &first, &offset) != 4 ||
		offset == 0 || rows < 0 || rate < 0 || parameters.count == 0)
	{
		reply_error("insert wants ROWS SECONDS RATE FIRST OUT and parameters, not \"%s\"", arguments);
		return;
	}

	start = now_ns();
	deadline = start + (int64_t) (seconds * NS_PER_SECOND);
	end = start;
	for (int64_t i = 0; i < rows && end < deadline; i++)
	{
		int			number = (int) (i % parameters.count);
		uint32_t	id = htonl((uint32_t) (first + i));
		const char *values[2] = {(const char *) &id,
		parameters.values + (size_t) number * parameters.width};
		int			widths[2] = {sizeof(id), parameters.width};
		int			formats[2] = {1, 1};
		PGresult   *result;
		RecordHeader header = {.parameter = number};
		char	   *record = records_next(&records);

		if (rate > 0)
		{
			int64_t		due = start + (int64_t) (i * (NS_PER_SECOND / rate));
			struct timespec at = {.tv_sec = due / NS_PER_SECOND, .tv_nsec = due % NS_PER_SECOND};

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		}
		header.start_ns = now_ns();
		result = PQexecPrepared(conn, STATEMENT, 2, values, widths, formats, 1);
		end = now_ns();
		header.latency_ns = end - header.start_ns;
		memcpy(record, &header, sizeof(header));
		if (!command_ok(result))
		{
			free(records.data);
			return;
		}
	}

	if (records_write(&records, arguments + offset))
		reply_ok((int64_t) records.count, end - start);
	free(records.data);
}

/*
 * Room for one more record.  Growth doubles, so that it disturbs few samples;
 * a benchmark that runs out of memory has nothing to say and stops.
 */
static void *
records_next(Records *records)
{
	if (records->count == records->capacity)
	{
		records->capacity = records->capacity > 0 ? records->capacity * 2 : 65536;
		records->data = realloc(records->data, records->capacity * records->width);
		if (records->data == NULL)
		{
			reply_error("out of memory for %zu records", records->capacity);
			exit(1);
		}
	}
	return records->data + records->width * records->count++;
}

/*
 * Write the records to a file.  Answers with the error and returns false if
 * that fails.
 */
static bool
records_write(const Records *records, const char *path)
{
	FILE	   *file = fopen(path, "wb");
	bool		ok;

	ok = file != NULL &&
		fwrite(records->data, records->width, records->count, file) == records->count;
	if (file != NULL && fclose(file) != 0)
		ok = false;
	if (!ok)
		reply_error("could not write \"%s\": %s", path, strerror(errno));
	return ok;
}
