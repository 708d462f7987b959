/*
 * filter_regex.c
 *		Regular expressions of RE2's syntax into PostgreSQL's advanced ones.
 *
 * What both have means the same in both, except: `.` of RE2 is no newline, \b is \y here, \z is \Z, \x41 and
 * \x{41} and octal are \U, \Q...\E is escaped, (?P<name> is a group like any other.  What only one has is
 * refused: look-ahead, back references and word-start escapes of PostgreSQL, which RE2 has not; \p, \C, flags
 * in the middle and repetitions past 255, which PostgreSQL has not.
 */
#include "collection/filter/filter_internal.h"

/* The most that PostgreSQL repeats: DUPMAX of its regex library. */
#define MAX_REPEAT 255

typedef struct Reader
{
	FilterContext *context;
	const char *pattern;
	const char *p;
	StringInfoData result;
	bool		dot_is_any;		/* (?s) */
} Reader;

static void
refuse(Reader *reader, const char *what)
{
	FILTER_INVALID(reader->context, "invalid regex pattern %s: %s", reader->pattern, what);
}

static void
put_code(Reader *reader, uint32 code)
{
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ||
		(code >= 128 && !reader->context->options->is_utf8))
		refuse(reader, "invalid escape sequence");
	appendStringInfo(&reader->result, "\\U%08x", code);
}

static int
digit_of(char c, int base)
{
	int			value;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if ((c | 32) >= 'a' && (c | 32) <= 'f')
		value = (c | 32) - 'a' + 10;
	else
		return -1;
	return value < base ? value : -1;
}

/* After a backslash. */
static void
read_escape(Reader *reader, bool in_brackets)
{
	char		c = *reader->p;
	uint32		code = 0;

	if (c == '\0')
		refuse(reader, "trailing backslash at end of expression");
	if (strchr("dDwWsS", c) != NULL || (c == 'A' && !in_brackets))
	{
		appendStringInfoChar(&reader->result, '\\');
		appendStringInfoChar(&reader->result, c);
		reader->p++;
		return;
	}
	if (!in_brackets && (c == 'b' || c == 'B' || c == 'z'))
	{
		appendStringInfo(&reader->result, "\\%c", c == 'b' ? 'y' : c == 'B' ? 'Y' : 'Z');
		reader->p++;
		return;
	}
	if (strchr("afnrtv", c) != NULL)
	{
		appendStringInfo(&reader->result, "\\%c", c);
		reader->p++;
		return;
	}
	if (c == 'x')
	{
		reader->p++;
		if (*reader->p == '{')
		{
			reader->p++;
			for (; digit_of(*reader->p, 16) >= 0 && code <= 0x10ffff; reader->p++)
				code = code * 16 + digit_of(*reader->p, 16);
			if (*reader->p++ != '}')
				refuse(reader, "invalid escape sequence");
		}
		else
		{
			for (int i = 0; i < 2; i++, reader->p++)
			{
				if (digit_of(*reader->p, 16) < 0)
					refuse(reader, "invalid escape sequence");
				code = code * 16 + digit_of(*reader->p, 16);
			}
		}
		put_code(reader, code);
		return;
	}
	if (c == '0' || (c >= '1' && c <= '7' && digit_of(reader->p[1], 8) >= 0))
	{
		for (int i = 0; i < 3 && digit_of(*reader->p, 8) >= 0; i++, reader->p++)
			code = code * 8 + digit_of(*reader->p, 8);
		put_code(reader, code);
		return;
	}
	if ((unsigned char) c < 128 && !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
	{
		appendStringInfo(&reader->result, "\\%c", c);
		reader->p++;
		return;
	}
	refuse(reader, "invalid escape sequence");
}

/* A class in brackets; its first bracket has been read. */
static void
read_brackets(Reader *reader)
{
	bool		first = true;

	appendStringInfoChar(&reader->result, '[');
	if (*reader->p == '^')
		appendStringInfoChar(&reader->result, *reader->p++);
	for (;; first = false)
	{
		char		c = *reader->p;

		if (c == '\0')
			refuse(reader, "missing closing ]");
		if (c == ']' && !first)
			break;
		if (c == '[' && reader->p[1] == ':')
		{
			const char *end = strstr(reader->p + 2, ":]");
			static const char *const classes[] = {
				"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"
			};
			int			length = end == NULL ? 0 : (int) (end - reader->p - 2);
			size_t		i = 0;

			while (i < lengthof(classes) &&
				   ((int) strlen(classes[i]) != length || strncmp(classes[i], reader->p + 2, length) != 0))
				i++;
			if (i == lengthof(classes))
				refuse(reader, "invalid character class range");
			appendStringInfo(&reader->result, "[:%s:]", classes[i]);
			reader->p = end + 2;
			continue;
		}
		reader->p++;
		if (c == '\\')
			read_escape(reader, true);
		else if (c == '[' || (c == ']' && first))
			appendStringInfo(&reader->result, "\\%c", c);
		else
			appendStringInfoChar(&reader->result, c);
	}
	reader->p++;
	appendStringInfoChar(&reader->result, ']');
}

/* What follows "(?"; false if that was flags, and no group. */
static bool
read_group(Reader *reader, bool at_start)
{
	const char *p = reader->p;
	const char *end;

	if (*p == ':')
	{
		reader->p++;
		appendStringInfoString(&reader->result, "(?:");
		return true;
	}
	if (*p == 'P' || *p == '<')
	{
		p += *p == 'P' ? 1 : 0;
		if (*p == '<' && p[1] != '=' && p[1] != '!')
		{
			end = strchr(p, '>');
			if (end != NULL && end > p + 1)
			{
				reader->p = end + 1;
				appendStringInfoChar(&reader->result, '(');
				return true;
			}
		}
		refuse(reader, "invalid named capture group");
	}
	for (end = p; *end == 'i' || *end == 's' || *end == 'm'; end++)
		;
	if (end == p || *end != ')' || !at_start)
		refuse(reader, "only the flags (?i), (?s), (?m) at its beginning are supported");
	/* (?i) is PostgreSQL's too; its m and s are otherwise, and ^ and $ are the only ones that (?m) changes */
	for (; p < end; p++)
	{
		if (*p == 's')
			reader->dot_is_any = true;
	}
	appendStringInfoString(&reader->result, "(?");
	if (memchr(reader->p, 'i', end - reader->p) != NULL)
		appendStringInfoChar(&reader->result, 'i');
	/* w: ^ and $ at newlines, what dots match unchanged; s: neither */
	appendStringInfoChar(&reader->result, memchr(reader->p, 'm', end - reader->p) != NULL ? 'w' : 's');
	appendStringInfoChar(&reader->result, ')');
	reader->p = end + 1;
	return false;
}

/* A pattern of RE2 as PostgreSQL's. */
char *
FilterTranslateRegex(FilterContext *context, const char *pattern)
{
	Reader		reader = {context, pattern, pattern};
	bool		repeatable = false; /* is there something before to repeat */
	int			open = 0;		/* parentheses */

	initStringInfo(&reader.result);
	while (*reader.p != '\0')
	{
		char		c = *reader.p++;
		bool		was_repeatable = repeatable;

		repeatable = true;
		switch (c)
		{
			case '\\':
				if (*reader.p == 'Q')
				{
					const char *end;

					reader.p++;
					end = strstr(reader.p, "\\E");
					for (; *reader.p != '\0' && reader.p != end; reader.p++)
					{
						if (strchr("\\.*+?()[]{}|^$", *reader.p) != NULL)
							appendStringInfoChar(&reader.result, '\\');
						appendStringInfoChar(&reader.result, *reader.p);
					}
					if (end != NULL)
						reader.p += 2;
				}
				else
					read_escape(&reader, false);
				break;
			case '[':
				read_brackets(&reader);
				break;
			case '.':
				appendStringInfoString(&reader.result, reader.dot_is_any ? "." : "[^\\n]");
				break;
			case '(':
				repeatable = false;
				open++;
				if (*reader.p == '?')
				{
					bool		at_start = reader.p == pattern + 1;

					reader.p++;
					if (!read_group(&reader, at_start))
						open--;
				}
				else
					appendStringInfoChar(&reader.result, '(');
				break;
			case ')':
				if (open-- == 0)
					refuse(&reader, "unexpected )");
				appendStringInfoChar(&reader.result, ')');
				break;
			case '|':
			case '^':
				repeatable = false;
				appendStringInfoChar(&reader.result, c);
				break;
			case '*':
			case '+':
			case '?':
				if (!was_repeatable)
					refuse(&reader, "missing argument to repetition operator");
				appendStringInfoChar(&reader.result, c);
				/* a question mark makes it shy; more of them RE2 refuses */
				if (*reader.p == '?')
					appendStringInfoChar(&reader.result, *reader.p++);
				repeatable = false;
				break;
			case '{':
				{
					/* {2}, {2,} or {2,5}; anything else is just a brace */
					const char *p = reader.p;
					int			low = 0;
					int			high = 0;
					bool		counts = *p >= '0' && *p <= '9';

					for (; *p >= '0' && *p <= '9'; p++)
						low = Min(low * 10 + (*p - '0'), 10000);
					if (counts && *p == ',')
					{
						for (p++; *p >= '0' && *p <= '9'; p++)
							high = Min(high * 10 + (*p - '0'), 10000);
					}
					if (!counts || *p != '}')
					{
						appendStringInfoString(&reader.result, "\\{");
						break;
					}
					if (!was_repeatable)
						refuse(&reader, "missing argument to repetition operator");
					if (low > MAX_REPEAT || high > MAX_REPEAT || (p[-1] != ',' && high > 0 && high < low))
						refuse(&reader, "bad repetition count");
					appendStringInfoChar(&reader.result, '{');
					while (reader.p <= p)
						appendStringInfoChar(&reader.result, *reader.p++);
					if (*reader.p == '?')
						appendStringInfoChar(&reader.result, *reader.p++);
					repeatable = false;
					break;
				}
			case '}':
			case ']':
				appendStringInfo(&reader.result, "\\%c", c);
				break;
			default:
				appendStringInfoChar(&reader.result, c);
				break;
		}
	}
	if (open > 0)
		refuse(&reader, "missing closing )");
	return reader.result.data;
}
