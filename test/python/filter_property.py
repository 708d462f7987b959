"""Random filters over random rows mean what an evaluator of their own says.

usage: filter_property.py CONNECTION [COUNT [SEED]]

A filter is made as a tree, written as text (with as few parentheses as precedence allows, constants in every
form, some as templates), compiled by milvus.explain_filter_schema, and run over the rows; the tree is
evaluated here in three values.  Nothing of the extension's code or SQL is used for that.
"""
import datetime
import decimal
import json
import random
import re
import struct
import sys

import psycopg

decimal.getcontext().prec = 60
Decimal = decimal.Decimal
UTC = datetime.timezone.utc


def f32(x):
    return struct.unpack('f', struct.pack('f', x))[0]


# ---- collection and rows -------------------------------------------------------------------------------------

FIELDS = [
    ('id', 'Int64', 'bigint'), ('i8', 'Int8', 'smallint'), ('i16', 'Int16', 'smallint'), ('i32', 'Int32', 'integer'),
    ('i64', 'Int64', 'bigint'), ('f', 'Float', 'real'), ('d', 'Double', 'double precision'), ('b', 'Bool', 'boolean'),
    ('s', 'VarChar', 'text COLLATE "C"'), ('s2', 'VarChar', 'text'), ('j', 'JSON', 'jsonb'), ('ts', 'Timestamptz', 'timestamptz'),
    ('ai', 'Array:Int64', 'bigint[]'), ('a8', 'Array:Int8', 'smallint[]'), ('as', 'Array:VarChar', 'text[]'), ('ad', 'Array:Double', 'double precision[]'),
    ('sa', 'Struct', None), ('$meta', 'JSON', 'jsonb')]
TYPES = {name: kind for name, kind, _ in FIELDS}
STRINGS = ['', 'a', 'b', 'ab', 'abc', 'aXc', 'B', 'x%', 'a_b', 'a\\b', 'it\'s "x"', 'a\nb', 'é', '中文', 'a1', '12', 'true', 'null', 'zz', ' a']
NUMBERS = [0, 1, 2, 3, 5, -1, -2, 7, 10, 100, 127, -128]
KEYS = ['a', 'b', 'c d', '0', 'x"y']


def schema(gin):
    fields = []
    for name, kind, _ in FIELDS:
        field = {'name': name, 'data_type': kind}
        if kind.startswith('Array:'):
            field.update(data_type='Array', element_type=kind[6:])
        if kind == 'Struct':
            field.update(data_type='Array', element_type='Struct',
                         fields=[{'name': 'si', 'data_type': 'Int32'}, {'name': 'ss', 'data_type': 'VarChar'}])
        if name == '$meta':
            field['is_dynamic'] = True
        if kind == 'JSON':
            field['has_json_gin'] = gin
        fields.append(field)
    return json.dumps({'enable_dynamic_field': True, 'fields': fields})


def random_json(r, depth=0):
    kind = r.randrange(12 if depth < 2 else 9)
    if kind < 3:
        return r.choice(NUMBERS)
    if kind < 4:
        return Decimal(r.choice(['0.5', '2.50', '1.0', '-1.25', '3.0']))
    if kind < 7:
        return r.choice(STRINGS)
    if kind < 8:
        return r.random() < 0.5
    if kind < 9:
        return None
    if kind < 11:
        return [random_json(r, depth + 1) for _ in range(r.randrange(4))]
    return {k: random_json(r, depth + 1) for k in r.sample(KEYS, r.randrange(4))}


def dump_json(value):
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return '[' + ', '.join(map(dump_json, value)) + ']'
    if isinstance(value, dict):
        return '{' + ', '.join(json.dumps(k) + ': ' + dump_json(v) for k, v in value.items()) + '}'
    return json.dumps(value)


def random_row(r, number):
    def maybe(value):
        return None if r.random() < 0.12 else value
    count = r.randrange(4)
    row = {
        'id': number, 'i8': maybe(r.choice([v for v in NUMBERS if -129 < v < 128])), 'i16': maybe(r.choice(NUMBERS + [32767, -32768])),
        'i32': maybe(r.choice(NUMBERS + [2147483647])), 'i64': maybe(r.choice(NUMBERS + [2**63 - 1, -2**63, 2**53 + 1])),
        'f': maybe(f32(r.choice([0, 0.1, 0.5, 1, 2, -1.5, 3.3, 1e10]))), 'd': maybe(float(r.choice([0, 0.1, 0.3, 0.5, 1, 2, -1.5, 1e10]))),
        'b': maybe(r.random() < 0.5), 's': maybe(r.choice(STRINGS)), 's2': maybe(r.choice(STRINGS)),
        'j': maybe({k: random_json(r) for k in r.sample(KEYS, r.randrange(len(KEYS) + 1))} if r.random() < 0.85 else random_json(r)),
        'ts': maybe(datetime.datetime(r.choice([2023, 2024, 2025]), *r.choice([(1, 1), (1, 31), (2, 28), (3, 1), (3, 30), (12, 31)]),
                                      r.randrange(24), tzinfo=UTC)),
        'ai': maybe([r.choice(NUMBERS) for _ in range(r.randrange(5))]), 'a8': maybe([r.choice(NUMBERS[:8]) for _ in range(r.randrange(4))]),
        'as': maybe([r.choice(STRINGS) for _ in range(r.randrange(4))]), 'ad': maybe([float(r.choice([0, 0.5, 1, 2])) for _ in range(r.randrange(4))]),
        'sa': maybe([{'si': r.choice(NUMBERS), 'ss': r.choice(STRINGS)} for _ in range(count)]),
        '$meta': {k: random_json(r) for k in r.sample(['k', 'm', 'n'], r.randrange(4))}}
    return row


# ---- three values --------------------------------------------------------------------------------------------

def not3(x):
    return None if x is None else not x


def all3(values):
    return False if False in values else None if None in values else True


def any3(values):
    return True if True in values else None if None in values else False


def order(op, c):
    return {'==': c == 0, '!=': c != 0, '<': c < 0, '<=': c <= 0, '>': c > 0, '>=': c >= 0}[op]


def cmp(a, b):
    return (a > b) - (a < b)


MIRROR = {'==': '==', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<='}


def json_class(value):
    if isinstance(value, bool):
        return 'boolean'
    if isinstance(value, (int, float, Decimal)):
        return 'number'
    return {str: 'string', list: 'array', dict: 'object', type(None): 'null'}[type(value)]


def exact(value):
    """A number as it was written."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def json_equal(a, b):
    if json_class(a) != json_class(b):
        return False
    if json_class(a) == 'number':
        return exact(a) == exact(b)
    if isinstance(a, list):
        return len(a) == len(b) and all(json_equal(x, y) for x, y in zip(a, b))
    return a == b


def json_get(value, path):
    """(there, value); JSON's null is not there."""
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def compare(kind, value, op, const):
    """A value of a column (None: NULL, or a key that is not there) with a constant."""
    if value is None:
        return None
    if kind == 'JSON':
        if json_class(value) != json_class(const):
            return None
        if json_class(value) == 'array':
            return json_equal(value, const) == (op == '==')
        if json_class(value) == 'number':
            return order(op, cmp(exact(value), exact(const)))
        if json_class(value) == 'string':
            return order(op, cmp(value.encode(), const.encode()))
        return order(op, cmp(value, const))
    if kind == 'VarChar':
        return order(op, cmp(value.encode(), const.encode()))
    if kind == 'Float':
        return order(op, cmp(value, f32(const)))
    if kind == 'Double':
        return order(op, cmp(value, float(const)))
    return order(op, cmp(value, const))


def trunc_div(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def arithmetic(kind, value, op, k):
    """None: unknown."""
    if value is None:
        return None
    if kind == 'JSON':
        if json_class(value) != 'number':
            return None
        value, divisor = exact(value), exact(k)
        whole = value == value.to_integral_value()
        if op in '+-*':
            return {'+': value + divisor, '-': value - divisor, '*': value * divisor}[op]
        if op == '/':
            return Decimal(trunc_div(int(value), k)) if whole and isinstance(k, int) else value / divisor
        if not whole:
            return None
        value = int(value)
    if kind in ('Float', 'Double'):
        rounded = f32 if kind == 'Float' else float
        k = rounded(k)
        return rounded({'+': value + k, '-': value - k, '*': value * k, '/': value / k}[op])
    if op == '/':
        return trunc_div(value, k)
    if op == '%':
        return value - trunc_div(value, k) * k
    return {'+': value + k, '-': value - k, '*': value * k, '&': value & k, '|': value | k, '^': value ^ k}[op]


def like(value, pattern):
    """Wildcards by recursion over the pattern."""
    if not pattern:
        return not value
    if pattern[0] == '%':
        return any(like(value[i:], pattern[1:]) for i in range(len(value) + 1))
    if pattern[0] == '\\':
        return value[:1] == pattern[1] and like(value[1:], pattern[2:])
    return bool(value) and (pattern[0] == '_' or pattern[0] == value[0]) and like(value[1:], pattern[1:])


def shift(ts, sign, months, days, seconds):
    month = ts.year * 12 + ts.month - 1 + sign * months
    year, month = month // 12, month % 12 + 1
    last = (datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)).day
    ts = ts.replace(year=year, month=month, day=min(ts.day, last))
    return ts + sign * datetime.timedelta(days, seconds)


def get(column, row, element):
    """(kind, value) of a column reference."""
    how, name, *rest = column
    if how == 'sub':
        return ('Int32' if name == 'si' else 'VarChar'), element[name]
    if how == 'self':
        return name, element
    if how == 'json':
        return 'JSON', json_get(row[name], rest[0])
    if how == 'item':
        value = row[name]
        return TYPES[name][6:], None if value is None or rest[0] >= len(value) else value[rest[0]]
    if how in ('struct', 'struct item'):
        kind = 'Int32' if rest[0] == 'si' else 'VarChar'
        value = row[name]
        if how == 'struct':
            return 'Array:' + kind, None if value is None else [e[rest[0]] for e in value]
        return kind, None if value is None or rest[1] >= len(value) else value[rest[1]][rest[0]]
    return TYPES[name], row[name]


def evaluate(tree, row, element=None):
    what, *args = tree
    if what == 'and':
        return all3([evaluate(x, row, element) for x in args[0]])
    if what == 'or':
        return any3([evaluate(x, row, element) for x in args[0]])
    if what == 'not':
        return not3(evaluate(args[0], row, element))
    if what == 'const':
        return args[0]
    if what == 'compare':
        column, op, const = args[:3]
        kind, value = get(column, row, element)
        if kind.startswith('Array:'):
            if value is None:
                return None
            same = len(value) == len(const) and all(x == y for x, y in zip(value, const))
            return same == (op == '==')
        return compare(kind, value, op, const)
    if what == 'range':
        low, op1, column, op2, high = args[:5]
        kind, value = get(column, row, element)
        return all3([compare(kind, value, MIRROR[op1], low), compare(kind, value, op2, high)])
    if what == 'in':
        column, values, negated = args
        kind, value = get(column, row, element)
        if value is None:
            result = None
        elif kind == 'JSON':
            result = any(json_equal(value, v) for v in values)
            if values and not any(json_class(v) == json_class(value) for v in values):
                result = None
        else:
            result = any(compare(kind, value, '==', v) for v in values)
        return not3(result) if negated else result
    if what == 'arithmetic':
        column, op, k, relation, const = args[:5]
        kind, value = get(column, row, element)
        result = arithmetic(kind, value, op, k)
        if result is None:
            return None
        if kind == 'JSON':
            return order(relation, cmp(exact(result), exact(const)))
        return compare(kind, result, relation, const)
    if what == 'like':
        kind, value = get(args[0], row, element)
        return None if not isinstance(value, str) else like(value, args[1])
    if what == 'regex':
        kind, value = get(args[0], row, element)
        if not isinstance(value, str):
            return None
        return bool(re.search(args[1].replace('$', r'\Z'), value)) != args[2]
    if what == 'null':
        kind, value = get(args[0], row, element)
        return (value is None) != args[1]
    if what == 'exists':
        return get(args[0], row, element)[1] is not None
    if what == 'contains':
        column, mode, values = args
        kind, value = get(column, row, element)
        if kind == 'JSON':
            if not isinstance(value, list):
                return None
            found = [any(json_equal(v, x) for x in value) for v in values]
        elif value is None:
            return None
        else:
            found = [v in value for v in values]
        return any(found) if mode == 'any' else all(found)
    if what == 'length':
        kind, value = get(args[0], row, element)
        return None if not isinstance(value, list) else order(args[1], cmp(len(value), args[2]))
    if what == 'columns':
        (_, x), (_, y) = get(args[0], row, element), get(args[2], row, element)
        if x is None or y is None:
            return None
        if isinstance(x, str):
            x, y = x.encode(), y.encode()
        elif isinstance(x, float) or isinstance(y, float):
            x, y = float(x), float(y)
        return order(args[1], cmp(x, y))
    if what == 'time':
        column, sign, interval, op, const = args[:5]
        ts = row[column[1]]
        if ts is None:
            return None
        return order(op, cmp(shift(ts, sign, *interval) if interval else ts, const))
    if what == 'match':
        mode, name, predicate, count = args
        elements = row[name]
        if elements is None:
            return None
        hits = sum(evaluate(predicate, row, e) is True for e in elements)
        return {'any': hits > 0, 'all': hits == len(elements), 'least': hits >= count, 'most': hits <= count,
                'exact': hits == count}[mode]
    if what == 'prefix':
        value = row[args[0][1]]
        return None if value is None else value.startswith(args[1])
    raise AssertionError(what)


# ---- making filters ------------------------------------------------------------------------------------------

COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']
SCALARS = ['i8', 'i16', 'i32', 'i64', 'f', 'd', 'b', 's', 's2']
PATTERNS = ['a%', '%b', '%', '_', 'a_b', 'a\\_b', 'x\\%', '%\\\\%', '', 'ab', '%a%b%', '__%', '中_', 'é']
REGEXES = ['^a', 'b$', '^a.b$', '[ab]+c?', '(a|x)[Xb%]', r'\d', r'\d+$', '(?i)B', '(?s)a.b', '^$', '^.$', 'a{1,2}b', r'\\', r'[^a-z]', 'é|中', '"', r'\bx']


class Maker:
    def __init__(self, r):
        self.r = r
        self.last = None        # the column before, that "or" of equals may be of the same

    def path(self):
        r = self.r
        if r.random() < 0.4:
            path = [r.choice(['k', 'm', 'n', 'none'])]
            if r.random() < 0.3:
                path.append(r.choice(KEYS + ['1']))
            return ('json', '$meta', path)
        return ('json', 'j', [r.choice(KEYS + ['1', 'none']) for _ in range(r.choice([1, 1, 1, 2, 2, 3]))])

    def column(self, in_element=None):
        """A column of a scalar, or a key."""
        r = self.r
        if in_element == 'sa' and r.random() < 0.85:
            return ('sub', r.choice(['si', 'ss']))
        if in_element and in_element != 'sa' and r.random() < 0.85:
            return ('self', TYPES[in_element][6:])
        if self.last and r.random() < 0.3:
            return self.last
        kind = r.random()
        if kind < 0.5:
            column = ('field', r.choice(SCALARS))
        elif kind < 0.85:
            column = self.path()
        elif kind < 0.95:
            column = ('item', r.choice(['ai', 'a8', 'as', 'ad']), r.randrange(4))
        else:
            column = ('struct item', 'sa', r.choice(['si', 'ss']), r.randrange(3))
        self.last = column
        return column

    def kind(self, column):
        return get(column, {n: None for n in TYPES}, {'si': None, 'ss': None})[0]

    def constant(self, kind):
        r = self.r
        if kind == 'JSON':
            kind = r.choice(['Int64', 'Int64', 'Double', 'VarChar', 'VarChar', 'Bool'])
        if kind in ('Int8', 'Int16', 'Int32', 'Int64'):
            return r.choice(NUMBERS + [r.randrange(-5, 12), 128, 70000, 2**40, 2**53, 2**63 - 1, -2**63])
        if kind in ('Float', 'Double'):
            return r.choice([0, 1, 2, 0.1, 0.5, 2.5, -1.5, 3.3, 1e10, 1e-3, 10000000000])
        if kind == 'Bool':
            return r.random() < 0.5
        return r.choice(STRINGS)

    def leaf(self, in_element=None):
        r = self.r
        what = r.choice(['compare'] * 8 + ['range'] * 3 + ['in'] * 4 + ['arithmetic'] * 4 + ['like', 'like', 'regex', 'null', 'exists', 'contains',
                        'contains', 'length', 'columns', 'columns', 'time', 'time', 'match', 'array', 'const', 'prefix'])
        if in_element and what in ('match', 'time', 'contains', 'length', 'array', 'null', 'prefix'):
            what = 'compare'
        if what == 'compare':
            column = self.column(in_element)
            kind = self.kind(column)
            const = self.constant(kind)
            if kind == 'JSON' and r.random() < 0.1:
                return ('compare', column, r.choice(['==', '!=']), [self.constant('JSON') for _ in range(r.randrange(3))], False)
            ops = COMPARISONS[:2] if isinstance(const, bool) else ['=='] * 4 + COMPARISONS
            return ('compare', column, r.choice(ops), const, r.random() < 0.25)
        if what == 'range':
            column = self.column(in_element)
            kind = self.kind(column)
            if kind == 'Bool':
                return self.leaf(in_element)
            if kind == 'JSON':
                kind = r.choice(['Int64', 'VarChar', 'Double'])
            low, high = self.constant(kind), self.constant(kind)
            key = (lambda v: v.encode()) if isinstance(low, str) else (lambda v: v)
            if key(low) == key(high):
                return ('range', low, '<=', column, '<=', high, r.random() < 0.5)
            low, high = sorted([low, high], key=key)
            return ('range', low, r.choice(['<', '<=']), column, r.choice(['<', '<=']), high, r.random() < 0.5)
        if what == 'in':
            column = self.column(in_element)
            return ('in', column, [self.constant(self.kind(column)) for _ in range(r.choice([0, 1, 1, 2, 3, 5, 12]))], r.random() < 0.4)
        if what == 'arithmetic':
            column = self.column(in_element)
            kind = self.kind(column)
            if kind in ('VarChar', 'Bool'):
                return self.leaf(in_element)
            op = r.choice('+-*/%&|^' if kind not in ('Float', 'Double') else '+-*/')
            k = r.choice([1, 2, 3, 4, 5, -1, -2, 10, 2**33] if kind not in ('Float', 'Double') else [1, 2, 0.5, 0.1, -4])
            if kind == 'JSON' and op in '+-*/' and r.random() < 0.3:
                k = r.choice([0.5, 2.5, 0.25, 4.0])
            if kind == 'JSON' and op == '/' and isinstance(k, int):
                k = r.choice([1, 2, 4, 5, -2])
            if kind == 'JSON':
                const = r.choice(NUMBERS + [0.5, 1.25])
            else:
                const = self.constant(kind)
            return ('arithmetic', column, op, k, r.choice(COMPARISONS), const, r.random() < 0.25)
        if what in ('like', 'regex'):
            column = self.column(in_element)
            if self.kind(column) not in ('VarChar', 'JSON'):
                return self.leaf(in_element)
            return ('like', column, r.choice(PATTERNS)) if what == 'like' else ('regex', column, r.choice(REGEXES), r.random() < 0.3)
        if what == 'null':
            column = r.choice([('field', r.choice([n for n in TYPES if n not in ('$meta',)])), self.path()])
            return ('null', column, r.random() < 0.5)
        if what == 'exists':
            return ('exists', self.path())
        if what == 'contains':
            column = r.choice([self.path(), ('field', r.choice(['ai', 'a8', 'as', 'ad'])), ('struct', 'sa', r.choice(['si', 'ss']))])
            mode = r.choice(['one', 'all', 'any'])
            kind = self.kind(column)
            values = [random_contained(self, kind) for _ in range(1 if mode == 'one' else r.randrange(4))]
            return ('contains', column, mode, values)
        if what == 'length':
            column = r.choice([self.path(), ('field', r.choice(['ai', 'a8', 'as'])), ('struct', 'sa', 'ss')])
            return ('length', column, r.choice(COMPARISONS), r.choice([0, 1, 2, 3, 2**40]))
        if what == 'columns':
            names = r.choice([['i8', 'i16', 'i32', 'i64', 'f', 'd'], ['s', 's2']])
            if r.random() < 0.15 and in_element == 'sa':
                return ('columns', ('sub', 'si'), r.choice(COMPARISONS), ('field', r.choice(['i8', 'i64'])))
            return ('columns', ('field', r.choice(names)), r.choice(COMPARISONS), ('field', r.choice(names)))
        if what == 'time':
            const = datetime.datetime(r.choice([2023, 2024, 2025]), r.choice([1, 2, 3, 12]), r.choice([1, 2, 28]), r.randrange(24), 30 * r.randrange(2), tzinfo=UTC)
            interval = r.choice([None, (0, 1, 0), (0, 30, 3600), (1, 0, 0), (14, 3, 60), (0, 0, 5400)])
            return ('time', ('field', 'ts'), r.choice([1, -1]), interval, r.choice(COMPARISONS), const, r.random() < 0.3)
        if what == 'match':
            name = r.choice(['sa', 'sa', 'ai', 'as'])
            return ('match', r.choice(['any', 'all', 'least', 'most', 'exact']), name, self.tree(1, name), r.randrange(1, 4))
        if what == 'array':
            name = r.choice(['ai', 'a8', 'as', 'ad'])
            kind = TYPES[name][6:]
            return ('compare', ('field', name), r.choice(['==', '!=']), [random_contained(self, 'Array:' + kind) for _ in range(r.randrange(3))], r.random() < 0.3)
        if what == 'prefix':
            return ('prefix', ('field', r.choice(['s', 's2'])), r.choice(STRINGS))
        return ('const', r.random() < 0.5)

    def tree(self, depth, in_element=None):
        r = self.r
        if depth == 0 or r.random() < 0.25:
            return self.leaf(in_element)
        what = r.choice(['and', 'or', 'or', 'not'])
        if what == 'not':
            return ('not', self.tree(depth - 1, in_element))
        return (what, [self.tree(depth - 1, in_element) for _ in range(r.choice([2, 2, 3, 5]))])


def random_contained(maker, kind):
    r = maker.r
    if kind == 'JSON':
        return [maker.constant('JSON') for _ in range(r.randrange(3))] if r.random() < 0.2 else maker.constant('JSON')
    if kind == 'Array:VarChar':
        return r.choice(STRINGS)
    if kind == 'Array:Double':
        return r.choice([0, 0.5, 1, 2, 2.5])
    return r.choice(NUMBERS + [300, 2**40])


# ---- writing filters -----------------------------------------------------------------------------------------

# what binds tighter has the higher number
OR, AND, EQUALITY, RELATION, IN, PLUS, TIMES, UNARY, REGEX, LIKE, ATOM = range(1, 12)


class Writer:
    def __init__(self, r):
        self.r = r
        self.params = {}

    def space(self):
        return self.r.choice([' ', ' ', ' ', '', '  ', '\n', '\t'])

    def string(self, value, pattern=False):
        r = self.r
        quote = r.choice('"\'')
        if r.random() < 0.3 and quote not in value and '\n' not in value and not value.endswith('\\') and not (
                len(value) - len(value.rstrip('\\'))) % 2:
            return r.choice('rR') + quote + value + quote
        text = ''
        for c in value:
            if c == '\\' or c == quote:
                text += '\\' + c
            elif c == '\n':
                text += '\\n'
            elif ord(c) > 127 and r.random() < 0.3:
                text += '\\u%04x' % ord(c)
            elif r.random() < 0.03:
                text += r.choice(['\\x%02x', '\\%03o']) % ord(c) if ord(c) < 128 else c
            else:
                text += c
        return quote + text + quote

    def literal(self, value, template=True):
        r = self.r
        if template and r.random() < 0.2:
            for name, known in self.params.items():
                if known == value and type(known) is type(value) and not isinstance(value, list) and r.random() < 0.5:
                    return '{%s}' % name
            name = 'p%d' % len(self.params)
            self.params[name] = value
            return '{%s}' % name
        if isinstance(value, bool):
            return r.choice(['true', 'True', 'TRUE'] if value else ['false', 'False', 'FALSE'])
        if isinstance(value, int):
            if value < 0:
                return '-' + self.literal(-value, False) if value > -2**63 else '-9223372036854775808'
            if value < 2**62 and r.random() < 0.1:
                return '(%d + %d)' % (value - 1, 1) if value > 0 else '(2 - 2)'
            return r.choice(['%d'] * 8 + ['0x%x', '0%o']) % value
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, list):
            return '[' + ', '.join(self.literal(v, False) for v in value) + (',' if value and r.random() < 0.2 else '') + ']'
        return self.string(value)

    def column(self, column):
        how, name, *rest = column
        if how == 'sub':
            return '$[%s]' % name
        if how == 'self':
            return '$'
        if how == 'item':
            return '%s[%d]' % (name, rest[0])
        if how == 'struct':
            return '%s[%s]' % (name, rest[0])
        if how == 'struct item':
            return '%s[%d][%s]' % (name, rest[1], rest[0])
        if how == 'json':
            path = list(rest[0])
            text = name
            if name == '$meta' and self.r.random() < 0.7:
                text = path.pop(0)
            for key in path:
                text += '[%s]' % (key if key.isdigit() and self.r.random() < 0.5 else self.key(key))
            return text
        return name

    def key(self, key):
        quote = '\'' if '"' in key else self.r.choice('"\'')
        return self.r.choice(['', '', 'r']) + quote + key + quote

    def relation(self, left, op, right, swap):
        if swap:
            left, op, right = right, MIRROR[op], left
        if op == '==' and self.r.random() < 0.1:
            op = '='
        return left + self.space() + op + self.space() + right, EQUALITY if op in ('==', '=', '!=') else RELATION

    def wrap(self, tree, level):
        text, own = self.write(tree)
        if own < level or self.r.random() < 0.05:
            return '(' + text + ')'
        return text

    def write(self, tree):
        """(text, how tight it binds)"""
        r = self.r
        what, *args = tree
        if what in ('and', 'or'):
            level = AND if what == 'and' else OR
            word = r.choice([' and ', ' AND ', '&&', ' && '] if what == 'and' else [' or ', ' OR ', '||', ' || '])
            # operands of the same kind associate, whether in parentheses or not
            return word.join(self.wrap(x, level) for x in args[0]), level
        if what == 'not':
            return r.choice(['not ', 'NOT ', '!', 'not']) + ('' if False else '') + self.not_operand(args[0]), UNARY
        if what == 'const':
            return self.literal(args[0], False), ATOM
        if what == 'compare':
            return self.relation(self.column(args[0]), args[1], self.literal(args[2]), args[3])
        if what == 'range':
            low, op1, column, op2, high, turn = args
            if op1 == op2 == '<=' and r.random() < 0.2 and not isinstance(low, bool):
                return '%s BETWEEN %s AND %s' % (self.column(column), self.bound(low), self.bound(high)), IN
            low, high = self.literal(low), self.literal(high)
            if turn:
                return '%s %s %s %s %s' % (high, MIRROR[op2], self.column(column), MIRROR[op1], low), RELATION
            return '%s %s %s %s %s' % (low, op1, self.column(column), op2, high), RELATION
        if what == 'in':
            return self.column(args[0]) + (' not in ' if args[2] else ' in ') + self.literal(args[1]), IN
        if what == 'arithmetic':
            column, op, k, relation, const, swap = args
            k = self.literal(k)
            text, level = '%s %s %s' % (self.column(column), op, k), PLUS
            if op in '+*&|^' and r.random() < 0.2:
                text = '%s %s %s' % (k, op, self.column(column))
            if op in '&|^':
                text = '(' + text + ')'
            return self.relation(text, relation, self.literal(const), swap)
        if what == 'like':
            return self.column(args[0]) + ' like ' + (self.literal(args[1]) if r.random() < 0.2 else self.string(args[1])), LIKE
        if what == 'regex':
            return self.column(args[0]) + r.choice([' ', '']) + ('!~' if args[2] else '=~') + ' ' + self.string(args[1]), REGEX
        if what == 'null':
            return self.column(args[0]) + r.choice([' is not null', ' IS NOT NULL'] if args[1] else [' is null', ' IS NULL']), ATOM
        if what == 'exists':
            return r.choice(['exists ', 'EXISTS ']) + self.column(args[0]), ATOM
        if what == 'contains':
            name = r.choice(['json_contains', 'array_contains']) + {'one': '', 'all': '_all', 'any': '_any'}[args[1]]
            return '%s(%s, %s)' % (r.choice([name, name.upper()]), self.column(args[0]),
                                   self.literal(args[2][0] if args[1] == 'one' else args[2])), ATOM
        if what == 'length':
            return self.relation('array_length(%s)' % self.column(args[0]), args[1], self.literal(args[2]), r.random() < 0.3)
        if what == 'columns':
            return self.relation(self.column(args[0]), args[1], self.column(args[2]), False)
        if what == 'time':
            column, sign, interval, op, const, swap = args
            text = self.column(column)
            if interval:
                months, days, seconds = interval
                text += ' %s INTERVAL \'P%s%s%s\'' % ('+' if sign > 0 else '-', '%dY%dM' % divmod(months, 12) if months else '',
                                                      '%dD' % days if days else '', 'T%dM%dS' % divmod(seconds, 60) if seconds else '')
            zone = datetime.timezone(datetime.timedelta(hours=r.choice([-5, 0, 8])))
            iso = r.choice([const.isoformat().replace('+00:00', 'Z'), const.astimezone(zone).isoformat(), const.isoformat()[:19]])
            return self.relation(text, op, 'ISO \'%s\'' % iso, swap)
        if what == 'match':
            mode, name, predicate, count = args
            word = 'MATCH_' + mode.upper()
            text = '%s(%s, %s' % (r.choice([word, word.lower()]), name, self.write(predicate)[0])
            return text + (', threshold=%d)' % count if mode in ('least', 'most', 'exact') else ')'), ATOM
        if what == 'prefix':
            if args[1] == '' and r.random() < 0.5:
                return 'starts_with(%s, "")' % args[0][1], ATOM
            return 'starts_with(%s, %s)' % (args[0][1], self.literal(args[1])), ATOM
        raise AssertionError(what)

    def bound(self, value):
        return self.literal(value)

    def not_operand(self, tree):
        """`not` takes what binds as tight as itself; after the bare word comes a parenthesis."""
        return '(' + self.write(tree)[0] + ')' if self.r.random() < 0.5 else self.padded(self.wrap(tree, UNARY))

    @staticmethod
    def padded(text):
        return ' ' + text


# ---- running -------------------------------------------------------------------------------------------------

def main():
    connection = psycopg.connect(sys.argv[1], autocommit=True)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20261130
    r = random.Random(seed)
    cursor = connection.cursor()
    cursor.execute("SET timezone = 'America/New_York'; SET jit = off; SET datestyle = 'SQL, DMY'; SET search_path = pg_temp")

    columns = []
    for name, _, sql_type in FIELDS:
        columns += [('"%s"' % name, sql_type)] if sql_type else [('"sa[si]"', 'integer[]'), ('"sa[ss]"', 'text[]')]
    cursor.execute('CREATE TEMP TABLE rows (%s)' % ', '.join(' '.join(c) for c in columns))
    rows = [random_row(r, i) for i in range(64)]
    for row in rows:
        values = []
        for name, kind, sql_type in FIELDS:
            if kind == 'Struct':
                values += [None if row[name] is None else [e[k] for e in row[name]] for k in ('si', 'ss')]
            elif kind == 'JSON':
                values.append(None if row[name] is None else dump_json(row[name]))
            else:
                values.append(row[name])
        cursor.execute('INSERT INTO rows VALUES (%s)' % ', '.join('%%s::%s' % t.replace(' COLLATE "C"', '') for _, t in columns), values)
    for index in ('i8', 'i64', 's', 's2', '(j -> \'a\')', 'ts'):
        cursor.execute('CREATE INDEX ON rows (%s)' % index)
    cursor.execute('CREATE INDEX ON rows USING gin (j); CREATE INDEX ON rows USING gin (ai); ANALYZE rows')

    # text and tree of each
    cases = []
    for i in range(count):
        maker = Maker(r)
        tree = maker.tree(r.choice([0, 0, 1, 2, 2, 3]))
        writer = Writer(r)
        text = writer.write(tree)[0]
        cases.append((tree, text, writer.params, r.random() < 0.3))

    failures = 0

    def fail(i, why):
        nonlocal failures
        failures += 1
        if failures <= 10:
            print('# %d: %s\n# params %s\n# %s' % (i, cases[i][1].replace('\n', '\\n'), dump_json(cases[i][2]), why))

    # SQL of each
    conditions = []
    for i, (tree, text, params, gin) in enumerate(cases):
        try:
            cursor.execute('SELECT milvus.explain_filter_schema(%s::pg_catalog.jsonb, %s, %s::pg_catalog.jsonb)', (schema(gin), text, json.dumps(params)))
        except psycopg.Error as error:
            fail(i, 'refused: %s' % error)
            conditions.append(None)
            continue
        sql, *values = re.split(r'\n\$\d+ = ', cursor.fetchone()[0])
        for number in range(len(values), 0, -1):
            # the value is quoted already; a function of it keeps the replacement as it is
            sql = sql.replace('$%d::' % number, '\0%d\0::' % number)
        for number, value in enumerate(values, 1):
            sql = sql.replace('\0%d\0' % number, value)
        conditions.append(sql)

    def run(numbers):
        """The ids that each condition finds, many in one statement."""
        cursor.execute('SELECT ' + ', '.join('pg_catalog.array_agg(t.id) FILTER (WHERE %s)' % conditions[i] for i in numbers) + ' FROM rows t')
        return [set(ids or []) for ids in cursor.fetchone()]

    def run_alone(i):
        cursor.execute('SELECT pg_catalog.array_agg(t.id) FROM rows t WHERE ' + conditions[i])
        return set(cursor.fetchone()[0] or [])

    matched = 0
    def check(i, found):
        nonlocal matched
        wanted = {row['id'] for row in rows if evaluate(cases[i][0], row) is True}
        matched += len(wanted)
        if found != wanted:
            fail(i, 'sql: %s\n# missing %s, wrong %s' % (conditions[i], sorted(wanted - found), sorted(found - wanted)))

    numbers = [i for i in range(count) if conditions[i] is not None]
    for start in range(0, len(numbers), 100):
        batch = numbers[start:start + 100]
        try:
            for i, found in zip(batch, run(batch)):
                check(i, found)
        except psycopg.Error:
            for i in batch:
                try:
                    check(i, run_alone(i))
                except psycopg.Error as error:
                    fail(i, 'error: %s\n# sql: %s' % (error, conditions[i]))
    print(('not ' if failures else '') + 'ok 1 - %d filters, %d rows found, seed %d' % (count, matched, seed))

    # as conditions of scans, by index wherever one serves
    before = failures
    cursor.execute('SET enable_seqscan = off')
    by_index = 0
    for i in numbers[:1000]:
        try:
            check(i, run_alone(i))
        except psycopg.Error as error:
            fail(i, 'error: %s' % error)
    for i in numbers[:1000]:
        cursor.execute('EXPLAIN SELECT FROM rows t WHERE ' + conditions[i])
        by_index += any('Index' in line for line, in cursor.fetchall())
    print(('not ' if failures > before else '') + 'ok 2 - as conditions of scans')
    print(('not ' if by_index < len(numbers[:1000]) / 20 else '') + 'ok 3 - %d by an index' % by_index)
    print('1..3')
    return failures


if __name__ == '__main__':
    sys.exit(1 if main() else 0)
