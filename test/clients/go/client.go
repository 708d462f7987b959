// pgx with the adapter of pgvector-go, which sends and reads vectors in binary: types,
// an index in pgvector's syntax, a search.  The server comes by PGHOST and so on.
// Prints TAP.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"reflect"
	"sort"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"
	pgxvec "github.com/pgvector/pgvector-go/pgx"
)

var checks, failed int

func check(good bool, what string) {
	checks++
	state := "ok"
	if !good {
		failed++
		state = "not ok"
	}
	fmt.Printf("%s %d - %s\n", state, checks, what)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// Rows whose elements float16 holds exactly.
func row(i int) []float32 {
	return []float32{float32(i % 13), float32((i * 7) % 31), float32((i*i)%17) / 4}
}

// The five smallest distances of the rows to the query.
func nearest(query []float32, distance func(a, b []float32) float64) []float64 {
	all := make([]float64, 200)
	for i := range all {
		all[i] = distance(row(i), query)
	}
	sort.Float64s(all)
	return all[:5]
}

func l2(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]-b[i]) * float64(a[i]-b[i])
	}
	return math.Sqrt(sum)
}

func product(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum -= float64(a[i]) * float64(b[i])
	}
	return sum
}

func search(conn *pgx.Conn, index, sql string, query any, expected []float64) {
	ctx := context.Background()
	rows, err := conn.Query(ctx, sql, query)
	must(err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	must(err)
	good := len(found) == len(expected)
	for i := 0; good && i < len(found); i++ {
		good = math.Abs(found[i]-expected[i]) < 1e-5
	}
	check(good, index+": the five nearest")
	var used string
	var returned int
	must(conn.QueryRow(ctx, "SELECT index::text, returned_rows FROM milvus.last_search()").Scan(&used, &returned))
	check(used == index && returned == 5, index+": the search went through the index")
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	must(err)
	must(pgxvec.RegisterTypes(ctx, conn))
	exec := func(sql string, args ...any) {
		_, err := conn.Exec(ctx, sql, args...)
		must(err)
	}

	exec("CREATE TABLE go_items (id serial PRIMARY KEY, v vector(3), h halfvec(3))")
	for i := 0; i < 200; i++ {
		exec("INSERT INTO go_items (v, h) VALUES ($1, $2)", pgvector.NewVector(row(i)), pgvector.NewHalfVector(row(i)))
	}
	rows, err := conn.Query(ctx, "SELECT v, h FROM go_items ORDER BY id")
	must(err)
	vectors, halves, n := 0, 0, 0
	for rows.Next() {
		var v pgvector.Vector
		var h pgvector.HalfVector
		must(rows.Scan(&v, &h))
		if reflect.DeepEqual(v.Slice(), row(n)) {
			vectors++
		}
		if reflect.DeepEqual(h.Slice(), row(n)) {
			halves++
		}
		n++
	}
	must(rows.Err())
	check(n == 200 && vectors == 200, "vector: rows come back")
	check(n == 200 && halves == 200, "halfvec: rows come back")

	// COPY in binary
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"go_items"}, []string{"id", "v", "h"},
		pgx.CopyFromSlice(50, func(i int) ([]any, error) {
			far := []float32{1000, float32(i), 0}
			return []any{1000 + i, pgvector.NewVector(far), pgvector.NewHalfVector(far)}, nil
		}))
	must(err)
	var copied int
	must(conn.QueryRow(ctx, "SELECT count(*) FROM go_items WHERE v::text = '[1000,' || id - 1000 || ',0]' AND h::vector = v").Scan(&copied))
	check(copied == 50, "rows written by COPY in binary")
	exec("DELETE FROM go_items WHERE id >= 1000")

	exec("CREATE INDEX go_v ON go_items USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32)")
	exec("CREATE INDEX go_h ON go_items USING ivfflat (h halfvec_ip_ops) WITH (lists = 4)")
	exec("SET enable_seqscan = off")
	exec("SET hnsw.ef_search = 100")
	exec("SET ivfflat.probes = 4")
	query := []float32{6.5, 15.25, 2.125}
	search(conn, "go_v", "SELECT v <-> $1 FROM go_items ORDER BY v <-> $1 LIMIT 5", pgvector.NewVector(query), nearest(query, l2))
	search(conn, "go_h", "SELECT h <#> $1 FROM go_items ORDER BY h <#> $1 LIMIT 5", pgvector.NewHalfVector(query), nearest(query, product))

	var back pgvector.SparseVector
	var distance float64
	value := pgvector.NewSparseVector([]float32{0, 0.5, 0, 0, -2, 0})
	other := pgvector.NewSparseVector([]float32{0, 3.5, 0, 0, 2, 0})
	must(conn.QueryRow(ctx, "SELECT $1::sparsevec, $1::sparsevec <-> $2::sparsevec", value, other).Scan(&back, &distance))
	check(reflect.DeepEqual(back.Slice(), value.Slice()), "sparsevec comes back")
	check(distance == 5, "sparsevec: L2 distance")
	must(conn.QueryRow(ctx, "SELECT $1::text::bit(4) <~> $2::text::bit(4)", "1010", "0011").Scan(&distance))
	check(distance == 2, "bit: Hamming distance")

	exec("DROP TABLE go_items")
	fmt.Printf("1..%d\n", checks)
	if failed > 0 {
		os.Exit(1)
	}
}
