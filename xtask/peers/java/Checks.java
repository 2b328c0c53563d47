// Checks a server through Apache ZooKeeper's own client; see ../README.md for what is printed.

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZKUtil;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

public final class Checks extends Checking {
    private static final String ROOT = "/peers-java";
    private static String address;

    /** A connected client and what happens to its link. */
    private static final class Client {
        final BlockingQueue<WatchedEvent> states = new LinkedBlockingQueue<>();
        final ZooKeeper zk;

        Client(long id, byte[] password) throws Exception {
            zk = new ZooKeeper(address, 20_000, states::add, id, password);
        }

        static Client connect() throws Exception {
            Client client = new Client(0, new byte[16]);
            client.expect(KeeperState.SyncConnected);
            return client;
        }

        void expect(KeeperState state) throws Exception {
            WatchedEvent event = states.poll(30, TimeUnit.SECONDS);
            equal("state", event == null ? null : event.getState(), state);
        }
    }

    /** Watched events other than those about the link. */
    private static final class Events implements Watcher {
        private final BlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() != EventType.None) {
                queue.add(event);
            }
        }

        void expect(EventType type, String path) throws Exception {
            WatchedEvent event = queue.poll(15, TimeUnit.SECONDS);
            if (event == null) {
                throw new AssertionError("no event " + type + " for " + path);
            }
            equal("event", event.getType() + " " + event.getPath(), type + " " + path);
        }

        void expectNothing() throws Exception {
            WatchedEvent event = queue.poll(200, TimeUnit.MILLISECONDS);
            equal("event", event, null);
        }
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void until(String what, Condition condition) throws Exception {
        for (int tries = 0; tries < 600; tries++) {
            try {
                if (condition.holds()) {
                    return;
                }
            } catch (KeeperException.ConnectionLossException error) {
                // The client connects again.
            }
            Thread.sleep(50);
        }
        throw new AssertionError("never " + what);
    }

    private static String create(Client client, String name, CreateMode mode) throws Exception {
        return client.zk.create(ROOT + name, name.getBytes(), Ids.OPEN_ACL_UNSAFE, mode);
    }

    /** The client asks a list whether it holds null, which not every list answers. */
    private static List<ACL> acl(ACL... entries) {
        return Arrays.asList(entries);
    }

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        Client client = Client.connect();
        if (client.zk.exists(ROOT, false) != null) {
            ZKUtil.deleteRecursive(client.zk, ROOT);
        }
        create(client, "", CreateMode.PERSISTENT);
        Client other = Client.connect();
        creating(client);
        writing(client, other);
        watching(client, other);
        watchingForGood(client, other);
        together(client);
        protecting(client, other);
        asking(client);
        sessions(client, other);
        ZKUtil.deleteRecursive(client.zk, ROOT);
        other.zk.close();
        client.zk.close();
        done();
    }

    private static void creating(Client client) {
        ZooKeeper zk = client.zk;
        check("create persistent", () -> {
            equal("path", create(client, "/p", CreateMode.PERSISTENT), ROOT + "/p");
            Stat stat = new Stat();
            equal("data", new String(zk.getData(ROOT + "/p", false, stat)), "/p");
            equal("owner", stat.getEphemeralOwner(), 0L);
            equal("length", stat.getDataLength(), 2);
        });
        check("create ephemeral", () -> {
            create(client, "/e", CreateMode.EPHEMERAL);
            equal("owner", zk.exists(ROOT + "/e", false).getEphemeralOwner(), zk.getSessionId());
            refused(Code.NOCHILDRENFOREPHEMERALS,
                () -> create(client, "/e/child", CreateMode.PERSISTENT));
        });
        check("create sequential", () -> {
            create(client, "/q", CreateMode.PERSISTENT);
            equal("first", create(client, "/q/n", CreateMode.PERSISTENT_SEQUENTIAL),
                ROOT + "/q/n0000000000");
            equal("second", create(client, "/q/n", CreateMode.EPHEMERAL_SEQUENTIAL),
                ROOT + "/q/n0000000001");
        });
        check("create with stat", () -> {
            Stat stat = new Stat();
            zk.create(ROOT + "/s", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
            equal("mzxid", stat.getMzxid(), stat.getCzxid());
            equal("data", zk.getData(ROOT + "/s", false, null), null);
        });
        check("create container", () -> create(client, "/c", CreateMode.CONTAINER));
        check("create with TTL", () -> {
            zk.create(ROOT + "/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                null, 3_600_000);
            String made = zk.create(ROOT + "/t-", null, Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, new Stat(), 3_600_000);
            equal("prefix", made.substring(0, made.length() - 10), ROOT + "/t-");
        });
        check("what runs out or empties is removed", () -> {
            zk.create(ROOT + "/short", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                null, 100);
            create(client, "/c/child", CreateMode.PERSISTENT);
            zk.delete(ROOT + "/c/child", -1);
            until("removed", () -> zk.exists(ROOT + "/short", false) == null
                && zk.exists(ROOT + "/c", false) == null);
            equal("long TTL", zk.exists(ROOT + "/t", false) != null, true);
        });
        check("create refuses", () -> {
            refused(Code.NODEEXISTS, () -> create(client, "/p", CreateMode.PERSISTENT));
            refused(Code.NONODE, () -> create(client, "/no/parent", CreateMode.PERSISTENT));
            refused(Code.INVALIDACL, () -> zk.create(ROOT + "/acl", null,
                acl(new ACL(Perms.ALL, new Id("none", "x"))), CreateMode.PERSISTENT));
        });
    }

    private static void writing(Client client, Client other) {
        ZooKeeper zk = client.zk;
        check("set and get", () -> {
            equal("version", zk.setData(ROOT + "/p", "new".getBytes(), 0).getVersion(), 1);
            equal("data", new String(zk.getData(ROOT + "/p", false, null)), "new");
            refused(Code.BADVERSION, () -> zk.setData(ROOT + "/p", null, 0));
            refused(Code.NONODE, () -> zk.getData(ROOT + "/none", false, null));
        });
        check("delete", () -> {
            refused(Code.NOTEMPTY, () -> zk.delete(ROOT + "/q", -1));
            refused(Code.BADVERSION, () -> zk.delete(ROOT + "/s", 1));
            zk.delete(ROOT + "/s", 0);
            refused(Code.NONODE, () -> zk.delete(ROOT + "/s", -1));
        });
        check("children", () -> {
            Stat stat = new Stat();
            List<String> names = new ArrayList<>(zk.getChildren(ROOT + "/q", false, stat));
            Collections.sort(names);
            equal("names", names, List.of("n0000000000", "n0000000001"));
            equal("number", stat.getNumChildren(), 2);
            equal("without stat", zk.getChildren(ROOT + "/q", false).size(), 2);
        });
        check("sync", () -> {
            BlockingQueue<Integer> done = new LinkedBlockingQueue<>();
            zk.sync(ROOT, (code, path, context) -> done.add(code), null);
            equal("code", done.poll(15, TimeUnit.SECONDS), 0);
        });
        check("writes in flight keep their order", () -> {
            BlockingQueue<Integer> versions = new LinkedBlockingQueue<>();
            for (int i = 0; i < 500; i++) {
                zk.setData(ROOT + "/p", null, -1,
                    (code, path, context, stat) -> versions.add(stat.getVersion()), null);
            }
            for (int i = 0; i < 500; i++) {
                equal("version", versions.poll(15, TimeUnit.SECONDS), 2 + i);
            }
            equal("seen by another", other.zk.exists(ROOT + "/p", false).getVersion(), 501);
        });
    }

    private static void watching(Client client, Client other) {
        String path = ROOT + "/watched";
        check("watch creation, data, children and deletion", () -> {
            Events events = new Events();
            client.zk.exists(path, events);
            create(other, "/watched", CreateMode.PERSISTENT);
            events.expect(EventType.NodeCreated, path);
            client.zk.getData(path, events, null);
            other.zk.setData(path, null, -1);
            events.expect(EventType.NodeDataChanged, path);
            client.zk.getChildren(path, events);
            create(other, "/watched/child", CreateMode.PERSISTENT);
            events.expect(EventType.NodeChildrenChanged, path);
            other.zk.delete(path + "/child", -1);
            client.zk.getData(path, events, null);
            other.zk.delete(path, -1);
            events.expect(EventType.NodeDeleted, path);
            events.expectNothing();
        });
        check("remove a watch", () -> {
            Events events = new Events();
            client.zk.exists(path, events);
            client.zk.removeWatches(path, events, Watcher.WatcherType.Data, false);
            events.expect(EventType.DataWatchRemoved, path);
            create(other, "/watched", CreateMode.PERSISTENT);
            events.expectNothing();
            other.zk.delete(path, -1);
            refused(Code.NOWATCHER, () ->
                client.zk.removeWatches(path, events, Watcher.WatcherType.Any, false));
        });
    }

    private static void watchingForGood(Client client, Client other) {
        check("persistent watch", () -> {
            String path = ROOT + "/lasting";
            Events events = new Events();
            client.zk.addWatch(path, events, AddWatchMode.PERSISTENT);
            for (int round = 0; round < 2; round++) {
                create(other, "/lasting", CreateMode.PERSISTENT);
                events.expect(EventType.NodeCreated, path);
                create(other, "/lasting/child", CreateMode.PERSISTENT);
                events.expect(EventType.NodeChildrenChanged, path);
                other.zk.setData(path + "/child", null, -1);
                other.zk.delete(path + "/child", -1);
                events.expect(EventType.NodeChildrenChanged, path);
                other.zk.delete(path, -1);
                events.expect(EventType.NodeDeleted, path);
            }
            client.zk.removeWatches(path, events, Watcher.WatcherType.Any, false);
            events.expect(EventType.PersistentWatchRemoved, path);
        });
        check("recursive watch", () -> {
            String path = ROOT + "/below";
            Events events = new Events();
            client.zk.addWatch(path, events, AddWatchMode.PERSISTENT_RECURSIVE);
            create(other, "/below", CreateMode.PERSISTENT);
            events.expect(EventType.NodeCreated, path);
            create(other, "/below/child", CreateMode.PERSISTENT);
            events.expect(EventType.NodeCreated, path + "/child");
            other.zk.setData(path + "/child", null, -1);
            events.expect(EventType.NodeDataChanged, path + "/child");
            other.zk.delete(path + "/child", -1);
            events.expect(EventType.NodeDeleted, path + "/child");
            events.expectNothing();
        });
    }

    private static void together(Client client) {
        ZooKeeper zk = client.zk;
        String a = ROOT + "/multi";
        check("multi", () -> {
            List<OpResult> results = zk.multi(Arrays.asList(
                Op.create(a, "m".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(a, "M".getBytes(), 0),
                Op.check(a, 1),
                Op.create(a + "/n", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.delete(a + "/n0000000000", -1)));
            equal("created", ((OpResult.CreateResult) results.get(0)).getPath(), a);
            equal("version", ((OpResult.SetDataResult) results.get(1)).getStat().getVersion(), 1);
            equal("sequential", ((OpResult.CreateResult) results.get(3)).getPath(),
                a + "/n0000000000");
        });
        check("multi fails as a whole", () -> {
            KeeperException error = refused(Code.BADVERSION, () -> zk.multi(Arrays.asList(
                Op.setData(a, "lost".getBytes(), -1), Op.check(a, 9), Op.delete(a, -1))));
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : error.getResults()) {
                codes.add(((OpResult.ErrorResult) result).getErr());
            }
            equal("codes", codes, List.of(0, Code.BADVERSION.intValue(),
                Code.RUNTIMEINCONSISTENCY.intValue()));
            equal("data", new String(zk.getData(a, false, null)), "M");
        });
        check("multi of reads", () -> {
            List<OpResult> results = zk.multi(Arrays.asList(
                Op.getData(a), Op.getChildren(ROOT + "/q"), Op.getData(ROOT + "/none")));
            equal("data", new String(((OpResult.GetDataResult) results.get(0)).getData()), "M");
            equal("children", ((OpResult.GetChildrenResult) results.get(1)).getChildren().size(), 2);
            equal("error", ((OpResult.ErrorResult) results.get(2)).getErr(), Code.NONODE.intValue());
        });
    }

    private static void protecting(Client client, Client other) {
        String secret = ROOT + "/secret";
        check("digest acl", () -> {
            String digest = DigestAuthenticationProvider.generateDigest("user:pw");
            List<ACL> acl = acl(new ACL(Perms.ALL, new Id("digest", digest)));
            client.zk.create(secret, "s".getBytes(), acl, CreateMode.PERSISTENT);
            refused(Code.NOAUTH, () -> client.zk.getData(secret, false, null));
            client.zk.addAuthInfo("digest", "user:pw".getBytes());
            equal("data", new String(client.zk.getData(secret, false, null)), "s");
            Stat stat = new Stat();
            equal("acl", client.zk.getACL(secret, stat), acl);
            equal("aversion", stat.getAversion(), 0);
        });
        check("acl is set and binds others", () -> {
            List<ACL> acl = new ArrayList<>(Ids.CREATOR_ALL_ACL);
            acl.addAll(Ids.READ_ACL_UNSAFE);
            equal("aversion", client.zk.setACL(secret, acl, 0).getAversion(), 1);
            refused(Code.BADVERSION, () -> client.zk.setACL(secret, acl, 0));
            other.zk.getData(secret, false, null);
            refused(Code.NOAUTH, () -> other.zk.setData(secret, null, -1));
            refused(Code.NOAUTH, () -> other.zk.setACL(secret, Ids.OPEN_ACL_UNSAFE, -1));
        });
        check("delete and create are rights of the parent", () -> {
            List<ACL> acl = acl(new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE),
                new ACL(Perms.ALL, Ids.AUTH_IDS));
            client.zk.create(ROOT + "/closed", null, acl, CreateMode.PERSISTENT);
            create(client, "/closed/child", CreateMode.PERSISTENT);
            refused(Code.NOAUTH, () -> other.zk.delete(ROOT + "/closed/child", -1));
            refused(Code.NOAUTH, () -> create(other, "/closed/new", CreateMode.PERSISTENT));
        });
        check("ip acl", () -> {
            List<ACL> here = acl(new ACL(Perms.ALL, new Id("ip", "127.0.0.0/8")));
            client.zk.create(ROOT + "/here", null, here, CreateMode.PERSISTENT);
            other.zk.setData(ROOT + "/here", null, -1);
            List<ACL> there = acl(new ACL(Perms.WRITE, new Id("ip", "10.1.2.3")),
                new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE));
            client.zk.create(ROOT + "/there", null, there, CreateMode.PERSISTENT);
            refused(Code.NOAUTH, () -> other.zk.setData(ROOT + "/there", null, -1));
        });
    }

    private static void asking(Client client) {
        ZooKeeper zk = client.zk;
        check("ephemerals of the session", () -> {
            List<String> paths = new ArrayList<>(zk.getEphemerals());
            Collections.sort(paths);
            equal("paths", paths, List.of(ROOT + "/e", ROOT + "/q/n0000000001"));
            equal("below", zk.getEphemerals(ROOT + "/q"), List.of(ROOT + "/q/n0000000001"));
        });
        check("number of all children", () ->
            equal("number", zk.getAllChildrenNumber(ROOT + "/q"), 2));
        check("who am I", () -> {
            List<String> schemes = new ArrayList<>();
            for (ClientInfo info : zk.whoAmI()) {
                schemes.add(info.getAuthScheme() + " " + info.getUser());
            }
            Collections.sort(schemes);
            equal("identities", schemes, List.of("digest user", "ip 127.0.0.1"));
        });
    }

    private static void sessions(Client client, Client other) throws Exception {
        check("ephemerals vanish with their session", () -> {
            Client third = Client.connect();
            create(third, "/theirs", CreateMode.EPHEMERAL);
            Events events = new Events();
            client.zk.exists(ROOT + "/theirs", events);
            third.zk.close();
            events.expect(EventType.NodeDeleted, ROOT + "/theirs");
        });
        check("a wrong password ends in expiry", () -> {
            Client thief = new Client(other.zk.getSessionId(), new byte[16]);
            thief.expect(KeeperState.Expired);
            thief.zk.close();
            // A server may drop the owner's connection over this, but not its session.
            long id = other.zk.getSessionId();
            until("served", () -> other.zk.exists(ROOT, false) != null);
            equal("the owner's session", other.zk.getSessionId(), id);
        });
        check("a session moves to another client", () -> {
            Client third = Client.connect();
            create(third, "/moved", CreateMode.EPHEMERAL);
            Client fourth = new Client(third.zk.getSessionId(), third.zk.getSessionPasswd());
            fourth.expect(KeeperState.SyncConnected);
            third.expect(KeeperState.Disconnected);
            equal("session", fourth.zk.getSessionId(), third.zk.getSessionId());
            fourth.zk.close();
            third.zk.close();
            equal("node", client.zk.exists(ROOT + "/moved", false), null);
        });
        check("session, watches and auth survive a restart of the server", () -> {
            long id = client.zk.getSessionId();
            Events once = new Events();
            Events lasting = new Events();
            client.zk.getData(ROOT + "/p", once, null);
            client.zk.addWatch(ROOT + "/q", lasting, AddWatchMode.PERSISTENT_RECURSIVE);
            client.states.clear();
            other.states.clear();
            System.out.println("restart");
            System.in.read();
            client.expect(KeeperState.Disconnected);
            client.expect(KeeperState.SyncConnected);
            other.expect(KeeperState.Disconnected);
            other.expect(KeeperState.SyncConnected);
            equal("session", client.zk.getSessionId(), id);
            equal("owner", client.zk.exists(ROOT + "/e", false).getEphemeralOwner(), id);
            other.zk.setData(ROOT + "/p", null, -1);
            once.expect(EventType.NodeDataChanged, ROOT + "/p");
            create(other, "/q/late", CreateMode.PERSISTENT);
            lasting.expect(EventType.NodeCreated, ROOT + "/q/late");
            client.zk.setData(ROOT + "/secret", null, -1);
        });
    }
}
