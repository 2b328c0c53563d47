// Checks how Apache ZooKeeper's own client proves who it is; see ../README.md for what is printed.

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

public final class SecureChecks extends Checking {
    private static final String ROOT = "/secure-java";
    private static String plain;
    private static String secure;
    private static String folder;

    /** A client and what happens to its link. */
    private static final class Client implements AutoCloseable {
        final BlockingQueue<WatchedEvent> states = new LinkedBlockingQueue<>();
        final ZooKeeper zk;

        Client(String address, ZKClientConfig config) throws Exception {
            zk = new ZooKeeper(address, 20_000, states::add, config);
        }

        Client connected() throws Exception {
            return after(KeeperState.SyncConnected);
        }

        Client after(KeeperState state) throws Exception {
            WatchedEvent event = states.poll(30, TimeUnit.SECONDS);
            equal("state", event == null ? null : event.getState(), state);
            return this;
        }

        /** The client may notice that its link ended before it looks why, and tries again. */
        Client atLast(KeeperState state) throws Exception {
            while (true) {
                WatchedEvent event = states.poll(30, TimeUnit.SECONDS);
                if (event == null) {
                    throw new AssertionError("never " + state);
                }
                if (event.getState() == state) {
                    return this;
                }
            }
        }

        /** No session is established for a while. */
        void staysOut() throws Exception {
            for (long end = System.nanoTime() + 3_000_000_000L; System.nanoTime() < end; ) {
                WatchedEvent event = states.poll(100, TimeUnit.MILLISECONDS);
                if (event != null && event.getState() == KeeperState.SyncConnected) {
                    throw new AssertionError("a session was established");
                }
            }
        }

        @Override
        public void close() throws Exception {
            zk.close(100);
        }
    }

    private static ZKClientConfig config() {
        ZKClientConfig config = new ZKClientConfig();
        config.setProperty("zookeeper.sasl.client", "false");
        config.setProperty("zookeeper.fips-mode", "false");
        return config;
    }

    /** A configuration with TLS, trusting an authority. */
    private static ZKClientConfig tls(String name, String authority) {
        ZKClientConfig config = config();
        config.setProperty("zookeeper.client.secure", "true");
        config.setProperty(
                "zookeeper.clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty");
        if (name != null) {
            config.setProperty("zookeeper.ssl.keyStore.location", folder + "/" + name + "-both.pem");
        }
        config.setProperty("zookeeper.ssl.trustStore.location", folder + "/" + authority + ".pem");
        return config;
    }

    private static ZKClientConfig tls() {
        return tls("client", "ca");
    }

    /** The same with the user of a section of the login configuration. */
    private static ZKClientConfig sasl(ZKClientConfig config, String section) {
        config.setProperty("zookeeper.sasl.client", "true");
        config.setProperty("zookeeper.sasl.clientconfig", section);
        return config;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws Exception {
        plain = arguments[0];
        secure = arguments[1];
        folder = arguments[2];
        Path jaas = Path.of(folder, "client-jaas.conf");
        String user = " { org.apache.zookeeper.server.auth.DigestLoginModule required"
                + " username=\"bob\" password=\"";
        Files.writeString(jaas, "Bob" + user + "bobs password\"; };\nWrong" + user + "wrong\"; };\n");
        System.setProperty("java.security.auth.login.config", jaas.toString());
        System.setProperty("zookeeper.fips-mode", "false");
        overTls();
        authentication();
        done();
    }

    private static void overTls() {
        check("mutual TLS", () -> {
            try (Client client = new Client(secure, tls()).connected()) {
                client.zk.create(ROOT, bytes("over TLS"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                String data = new String(client.zk.getData(ROOT, false, null), StandardCharsets.UTF_8);
                equal("data", data, "over TLS");
            }
        });
        check("no certificate is refused", () -> {
            try (Client client = new Client(secure, tls(null, "ca"))) {
                client.staysOut();
            }
        });
        check("a stranger's certificate is refused", () -> {
            try (Client client = new Client(secure, tls("stranger", "ca"))) {
                client.staysOut();
            }
        });
        check("a server of another authority is refused", () -> {
            try (Client client = new Client(secure, tls("client", "other-ca"))) {
                client.staysOut();
            }
        });
        check("plain text to the secure port is refused", () -> {
            try (Client client = new Client(secure, config())) {
                client.staysOut();
            }
        });
        check("TLS to the plain port is refused", () -> {
            try (Client client = new Client(plain, tls())) {
                client.staysOut();
            }
        });
    }

    private static void authentication() {
        check("digest over TLS", () -> {
            try (Client owner = new Client(secure, tls()).connected();
                    Client other = new Client(secure, tls()).connected()) {
                String node = ROOT + "/digest";
                owner.zk.addAuthInfo("digest", bytes("user:password"));
                // Not "auth": the certificate may be an identity too, and both show the same.
                String id = DigestAuthenticationProvider.generateDigest("user:password");
                List<ACL> users =
                        Collections.singletonList(new ACL(Perms.ALL, new Id("digest", id)));
                owner.zk.create(node, null, users, CreateMode.PERSISTENT);
                refused(Code.NOAUTH, () -> other.zk.getData(node, false, null));
                other.zk.addAuthInfo("digest", bytes("user:wrong"));
                refused(Code.NOAUTH, () -> other.zk.getData(node, false, null));
                other.zk.addAuthInfo("digest", bytes("user:password"));
                other.zk.getData(node, false, null);
            }
        });
        check("an unknown scheme fails", () -> {
            try (Client client = new Client(secure, tls()).connected()) {
                client.zk.addAuthInfo("nosuch", bytes("user:password"));
                client.atLast(KeeperState.AuthFailed);
                equal("state", client.zk.getState(), ZooKeeper.States.AUTH_FAILED);
                refused(Code.AUTHFAILED, () -> client.zk.exists("/", false));
            }
        });
        for (boolean overTls : new boolean[] {false, true}) {
            String address = overTls ? secure : plain;
            String where = overTls ? " tls" : " plain";
            check("SASL DIGEST-MD5" + where, () -> {
                ZKClientConfig config = sasl(overTls ? tls() : config(), "Bob");
                ZKClientConfig nobody = overTls ? tls() : config();
                try (Client owner = new Client(address, config).connected();
                        Client other = new Client(address, nobody).connected()) {
                    owner.after(KeeperState.SaslAuthenticated);
                    String node = ROOT + "/sasl" + where.trim();
                    List<ACL> bobs =
                            Collections.singletonList(new ACL(Perms.ALL, new Id("sasl", "bob")));
                    owner.zk.create(node, null, bobs, CreateMode.PERSISTENT);
                    owner.zk.getData(node, false, null);
                    refused(Code.NOAUTH, () -> other.zk.getData(node, false, null));
                }
            });
            check("a wrong SASL password fails" + where, () -> {
                ZKClientConfig config = sasl(overTls ? tls() : config(), "Wrong");
                try (Client client = new Client(address, config).connected()) {
                    client.atLast(KeeperState.AuthFailed);
                    equal("state", client.zk.getState(), ZooKeeper.States.AUTH_FAILED);
                    refused(Code.AUTHFAILED, () -> client.zk.exists("/", false));
                }
            });
        }
    }
}
