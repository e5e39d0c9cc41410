// SPDX-License-Identifier: BSL-1.0
// tidepool's benchmarks - HikariCP: the same work as ours, with its recommended settings (a pool of fixed size, all else default).
//
//   java Hikari memory    acquire and release on one thread; 1,000 threads on 10 connections
//   java Hikari threads   two threads on a pool of 8
//   java Hikari server    prepared SELECT 1 over TCP (its driver has no Unix sockets); $PGPORT, $PGUSER, $PGDATABASE
//
// Prints "case <TAB> metric <TAB> value"; ns are of processor time. $SECONDS_A_CASE: how long each case is measured, after it warmed up.
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.lang.management.ManagementFactory;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Hikari {
    static final double SECONDS = Double.parseDouble(System.getenv().getOrDefault("SECONDS_A_CASE", "1"));
    static final com.sun.management.OperatingSystemMXBean SYSTEM = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    static volatile int sink;

    static HikariDataSource pool(int size) {
        HikariConfig config = new HikariConfig();
        config.setMaximumPoolSize(size);
        config.setMinimumIdle(size);
        config.setDataSource(new StubSource());
        return new HikariDataSource(config);
    }
    static void print(String what, String metric, double value) { System.out.printf(Locale.ROOT, "%s\t%s\t%.4f%n", what, metric, value); }

    // --- one thread ---------------------------------------------------------------------------------------------------------------
    static long pairs(HikariDataSource pool, double seconds) throws SQLException {
        long done = 0;
        for (long end = System.nanoTime() + (long) (seconds * 1e9); System.nanoTime() < end; done += 1000) {
            for (int i = 0; i < 1000; ++i) {
                try (Connection c = pool.getConnection()) {
                    sink += c.getTransactionIsolation();
                }
            }
        }
        return done;
    }
    static void warm_up(HikariDataSource pool) throws SQLException {
        for (long done = 0; done < 10_000_000; ) done += pairs(pool, 0.1);
    }
    static void pair() throws Exception {
        var clock = ManagementFactory.getThreadMXBean(); // of this thread: not of those that compile and collect
        try (HikariDataSource pool = pool(8)) {
            warm_up(pool);
            long begun = clock.getCurrentThreadCpuTime();
            long done = pairs(pool, SECONDS);
            print("pair", "ns", (clock.getCurrentThreadCpuTime() - begun) / (double) done);
        }
    }

    // --- hand-off -----------------------------------------------------------------------------------------------------------------
    static void handoff(int tasks, int cycles) throws Exception {
        try (HikariDataSource pool = pool(10)) {
            for (int round = 0; round < 2; ++round) { // the first warms up
                int each = Math.max(1, (round == 0 ? cycles / 4 : cycles) / tasks);
                AtomicLong asked = new AtomicLong(), served = new AtomicLong(), worst = new AtomicLong();
                CountDownLatch go = new CountDownLatch(1), over = new CountDownLatch(tasks);
                for (int t = 0; t < tasks; ++t) {
                    Thread thread = new Thread(() -> {
                        try {
                            go.await();
                            for (int i = 0; i < each; ++i) {
                                long ticket = asked.getAndIncrement();
                                try (Connection c = pool.getConnection()) {
                                    long overtaken = served.getAndIncrement() - ticket;
                                    if (overtaken > worst.get()) worst.accumulateAndGet(overtaken, Math::max);
                                    sink += c.getTransactionIsolation();
                                    Thread.yield();
                                }
                            }
                        } catch (Exception failed) {
                            failed.printStackTrace();
                        }
                        over.countDown();
                    });
                    thread.setDaemon(true);
                    thread.start();
                }
                long begun = SYSTEM.getProcessCpuTime();
                go.countDown();
                over.await();
                if (round == 1) {
                    print("handoff/" + tasks, "ns", (SYSTEM.getProcessCpuTime() - begun) / (double) (each * (long) tasks));
                    print("handoff/" + tasks, "overtaking", worst.get());
                }
            }
        }
    }

    // --- two threads --------------------------------------------------------------------------------------------------------------
    static void threads() throws Exception {
        var clock = ManagementFactory.getThreadMXBean();
        try (HikariDataSource pool = pool(8)) {
            warm_up(pool);
            for (int round = 0; round < 2; ++round) {
                double seconds = SECONDS;
                CountDownLatch go = new CountDownLatch(1), over = new CountDownLatch(2);
                LongAdder done = new LongAdder(), cpu = new LongAdder();
                for (int t = 0; t < 2; ++t) {
                    Thread thread = new Thread(() -> {
                        try {
                            go.await();
                            long before = clock.getCurrentThreadCpuTime();
                            done.add(pairs(pool, seconds));
                            cpu.add(clock.getCurrentThreadCpuTime() - before);
                        } catch (Exception failed) {
                            failed.printStackTrace();
                        }
                        over.countDown();
                    });
                    thread.setDaemon(true);
                    thread.start();
                }
                long begun = System.nanoTime();
                go.countDown();
                over.await();
                if (round == 0) continue;
                print("threads/2", "mpairs", done.sum() * 1e3 / (System.nanoTime() - begun));
                print("threads/2", "ns", cpu.sum() / (double) done.sum());
            }
        }
    }

    // --- end to end ---------------------------------------------------------------------------------------------------------------
    static void server(int tasks) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setMaximumPoolSize(8);
        config.setMinimumIdle(8);
        config.setJdbcUrl("jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE") + "?sslmode=disable&prepareThreshold=1");
        config.setUsername(System.getenv("PGUSER"));
        try (HikariDataSource pool = new HikariDataSource(config)) {
            long start = System.nanoTime(), warm = start + 2_000_000_000L, end = warm + (long) (SECONDS * 1e9);
            LongAdder done = new LongAdder();
            CountDownLatch over = new CountDownLatch(tasks);
            ConcurrentLinkedQueue<long[]> waits = new ConcurrentLinkedQueue<>();
            for (int t = 0; t < tasks; ++t) {
                Thread thread = new Thread(() -> {
                    long[] mine = new long[1 << 10];
                    int count = 0;
                    try {
                        for (;;) {
                            long begun = System.nanoTime();
                            try (Connection c = pool.getConnection(); PreparedStatement s = c.prepareStatement("select 1"); ResultSet r = s.executeQuery()) {
                                r.next();
                                sink += r.getInt(1);
                            }
                            long now = System.nanoTime();
                            if (now >= end) break;
                            if (now < warm) continue;
                            if (count == mine.length) mine = Arrays.copyOf(mine, count * 2);
                            mine[count++] = now - begun;
                        }
                    } catch (Exception failed) {
                        failed.printStackTrace();
                    }
                    done.add(count);
                    waits.add(Arrays.copyOf(mine, count));
                    over.countDown();
                });
                thread.setDaemon(true);
                thread.start();
            }
            Thread.sleep(Math.max(0, (warm - System.nanoTime()) / 1_000_000));
            long cpu = SYSTEM.getProcessCpuTime();
            Thread.sleep(Math.max(0, (end - System.nanoTime()) / 1_000_000));
            cpu = SYSTEM.getProcessCpuTime() - cpu;
            over.await();
            long[] all = waits.stream().flatMapToLong(Arrays::stream).sorted().toArray();
            String what = "select1/tcp/" + tasks;
            print(what, "qps", done.sum() / SECONDS);
            print(what, "cpu_us", cpu / 1e3 / done.sum());
            print(what, "p50_us", all[all.length / 2] / 1e3);
            print(what, "p99_us", all[(int) (all.length * 0.99)] / 1e3);
        }
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "memory":
                pair();
                handoff(1000, SECONDS < 1 ? 20000 : 100000);
                break;
            case "threads":
                threads();
                break;
            case "server":
                for (int tasks : new int[] {8, 64, 1000}) server(tasks);
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
        System.exit(0);
    }

    // --- a connection that does nothing: no reflection, so that the pool is what is measured ---------------------------------------
    static class StubSource implements javax.sql.DataSource {
        public Connection getConnection() { return new Stub(); }
        public Connection getConnection(String user, String password) { return new Stub(); }
        public java.io.PrintWriter getLogWriter() { return null; }
        public void setLogWriter(java.io.PrintWriter out) {}
        public void setLoginTimeout(int seconds) {}
        public int getLoginTimeout() { return 0; }
        public java.util.logging.Logger getParentLogger() { return null; }
        public <T> T unwrap(Class<T> type) { return null; }
        public boolean isWrapperFor(Class<?> type) { return false; }
    }
    static class Stub implements Connection {
        static UnsupportedOperationException no() { return new UnsupportedOperationException(); }
        boolean automatic = true, readOnly;
        public void setAutoCommit(boolean on) { automatic = on; }
        public boolean getAutoCommit() { return automatic; }
        public void close() {}
        public void abort(Executor executor) {}
        public boolean isClosed() { return false; }
        public boolean isValid(int seconds) { return true; }
        public void setReadOnly(boolean on) { readOnly = on; }
        public boolean isReadOnly() { return readOnly; }
        public void setCatalog(String name) {}
        public String getCatalog() { return null; }
        public void setSchema(String name) {}
        public String getSchema() { return null; }
        public void setTransactionIsolation(int level) {}
        public int getTransactionIsolation() { return TRANSACTION_READ_COMMITTED; }
        public SQLWarning getWarnings() { return null; }
        public void clearWarnings() {}
        public void setNetworkTimeout(Executor executor, int milliseconds) {}
        public int getNetworkTimeout() { return 0; }
        public Statement createStatement() { throw no(); }
        public PreparedStatement prepareStatement(String a) { throw no(); }
        public CallableStatement prepareCall(String a) { throw no(); }
        public String nativeSQL(String a) { throw no(); }
        public void commit() { throw no(); }
        public void rollback() { throw no(); }
        public DatabaseMetaData getMetaData() { throw no(); }
        public Map<String, Class<?>> getTypeMap() { throw no(); }
        public void setTypeMap(Map<String, Class<?>> a) { throw no(); }
        public Statement createStatement(int a, int b) { throw no(); }
        public PreparedStatement prepareStatement(String a, int b, int c) { throw no(); }
        public CallableStatement prepareCall(String a, int b, int c) { throw no(); }
        public void setHoldability(int a) { throw no(); }
        public int getHoldability() { throw no(); }
        public Savepoint setSavepoint() { throw no(); }
        public Savepoint setSavepoint(String a) { throw no(); }
        public void rollback(Savepoint a) { throw no(); }
        public void releaseSavepoint(Savepoint a) { throw no(); }
        public Statement createStatement(int a, int b, int c) { throw no(); }
        public PreparedStatement prepareStatement(String a, int b, int c, int d) { throw no(); }
        public CallableStatement prepareCall(String a, int b, int c, int d) { throw no(); }
        public PreparedStatement prepareStatement(String a, int b) { throw no(); }
        public PreparedStatement prepareStatement(String a, int[] b) { throw no(); }
        public PreparedStatement prepareStatement(String a, String[] b) { throw no(); }
        public Clob createClob() { throw no(); }
        public Blob createBlob() { throw no(); }
        public NClob createNClob() { throw no(); }
        public SQLXML createSQLXML() { throw no(); }
        public void setClientInfo(String a, String b) { throw no(); }
        public void setClientInfo(Properties a) { throw no(); }
        public String getClientInfo(String a) { throw no(); }
        public Properties getClientInfo() { throw no(); }
        public Array createArrayOf(String a, Object[] b) { throw no(); }
        public Struct createStruct(String a, Object[] b) { throw no(); }
        public <T> T unwrap(Class<T> a) { throw no(); }
        public boolean isWrapperFor(Class<?> a) { throw no(); }
    }
}
