// JDBC with the adapter com.pgvector: types, an index in pgvector's syntax, a search.  The
// server comes by PGHOST and so on.  Prints TAP.

import com.pgvector.PGbit;
import com.pgvector.PGhalfvec;
import com.pgvector.PGsparsevec;
import com.pgvector.PGvector;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.IntStream;

public class Client {
    private static int checks = 0;
    private static int failed = 0;

    private static void check(boolean good, String what) {
        checks++;
        if (!good) {
            failed++;
        }
        System.out.println((good ? "ok " : "not ok ") + checks + " - " + what);
    }

    /** Rows whose elements float16 holds exactly. */
    private static float[] row(int i) {
        return new float[] {i % 13, (i * 7) % 31, ((i * i) % 17) / 4f};
    }

    private static double l2(float[] a, float[] b) {
        return Math.sqrt(IntStream.range(0, a.length).mapToDouble(i -> Math.pow(a[i] - b[i], 2)).sum());
    }

    private static double product(float[] a, float[] b) {
        return -IntStream.range(0, a.length).mapToDouble(i -> (double) a[i] * b[i]).sum();
    }

    private static void search(Connection connection, String index, String column, String operator, Object query,
            float[] elements, ToDoubleBiFunction<float[], float[]> distance) throws SQLException {
        double[] expected = IntStream.range(0, 200).mapToDouble(i -> distance.applyAsDouble(row(i), elements))
                .sorted().limit(5).toArray();
        double[] found = new double[5];
        int n = 0;
        String sql = String.format("SELECT %1$s %2$s ? FROM java_items ORDER BY %1$s %2$s ? LIMIT 5", column, operator);
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setObject(1, query);
            statement.setObject(2, query);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next() && n < 5) {
                    found[n++] = rows.getDouble(1);
                }
            }
        }
        boolean good = n == 5;
        for (int i = 0; i < n; i++) {
            good &= Math.abs(found[i] - expected[i]) < 1e-5;
        }
        check(good, index + ": the five nearest");
        try (Statement statement = connection.createStatement();
                ResultSet used = statement.executeQuery("SELECT index::text, returned_rows FROM milvus.last_search()")) {
            used.next();
            check(used.getString(1).equals(index) && used.getInt(2) == 5, index + ": the search went through the index");
        }
    }

    public static void main(String[] arguments) throws SQLException {
        String url = String.format("jdbc:postgresql://%s:%s/%s?user=%s", System.getenv("PGHOST"),
                System.getenv("PGPORT"), System.getenv("PGDATABASE"), System.getenv("PGUSER"));
        try (Connection connection = DriverManager.getConnection(url); Statement statement = connection.createStatement()) {
            PGvector.registerTypes(connection);
            statement.execute("CREATE TABLE java_items (id serial PRIMARY KEY, v vector(3), h halfvec(3))");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO java_items (v, h) VALUES (?, ?)")) {
                for (int i = 0; i < 200; i++) {
                    insert.setObject(1, new PGvector(row(i)));
                    insert.setObject(2, new PGhalfvec(row(i)));
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            int vectors = 0;
            int halves = 0;
            try (ResultSet rows = statement.executeQuery("SELECT v, h FROM java_items ORDER BY id")) {
                for (int i = 0; rows.next(); i++) {
                    vectors += Arrays.equals(((PGvector) rows.getObject(1)).toArray(), row(i)) ? 1 : 0;
                    halves += Arrays.equals(((PGhalfvec) rows.getObject(2)).toArray(), row(i)) ? 1 : 0;
                }
            }
            check(vectors == 200, "vector: rows come back");
            check(halves == 200, "halfvec: rows come back");

            statement.execute("CREATE INDEX java_v ON java_items USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32)");
            statement.execute("CREATE INDEX java_h ON java_items USING ivfflat (h halfvec_ip_ops) WITH (lists = 4)");
            statement.execute("SET enable_seqscan = off");
            statement.execute("SET hnsw.ef_search = 100");
            statement.execute("SET ivfflat.probes = 4");
            float[] query = {6.5f, 15.25f, 2.125f};
            search(connection, "java_v", "v", "<->", new PGvector(query), query, Client::l2);
            search(connection, "java_h", "h", "<#>", new PGhalfvec(query), query, Client::product);

            float[] elements = {0, 0.5f, 0, 0, -2, 0};
            try (PreparedStatement select = connection.prepareStatement("SELECT ?::sparsevec, ?::sparsevec <-> ?::sparsevec")) {
                select.setObject(1, new PGsparsevec(elements));
                select.setObject(2, new PGsparsevec(elements));
                select.setObject(3, new PGsparsevec(new float[] {0, 3.5f, 0, 0, 2, 0}));
                try (ResultSet back = select.executeQuery()) {
                    back.next();
                    check(Arrays.equals(((PGsparsevec) back.getObject(1)).toArray(), elements), "sparsevec comes back");
                    check(back.getDouble(2) == 5, "sparsevec: L2 distance");
                }
            }
            try (PreparedStatement select = connection.prepareStatement("SELECT ?::bit(4) <~> ?::bit(4)")) {
                select.setObject(1, new PGbit(new boolean[] {true, false, true, false}));
                select.setObject(2, new PGbit(new boolean[] {false, false, true, true}));
                try (ResultSet back = select.executeQuery()) {
                    back.next();
                    check(back.getDouble(1) == 2, "bit: Hamming distance");
                }
            }
            statement.execute("DROP TABLE java_items");
        }
        System.out.println("1.." + checks);
        System.exit(failed > 0 ? 1 : 0);
    }
}
