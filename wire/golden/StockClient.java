import java.util.*;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.*;

/** Makes ZooKeeper's own client say everything it can, for `java-client.hex`. Argument: HOST:PORT. */
public class StockClient {
    public static void main(String[] arguments) throws Exception {
        CountDownLatch connected = new CountDownLatch(1), again = new CountDownLatch(2);
        ZooKeeper zk = new ZooKeeper(arguments[0], 30000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected
                    && event.getType() == Watcher.Event.EventType.None) {
                connected.countDown();
                again.countDown();
            }
        });
        connected.await();
        List<ACL> open = ZooDefs.Ids.OPEN_ACL_UNSAFE;
        byte[] data = {1, 2, 3};
        Stat stat = new Stat();
        zk.create("/j", data, open, CreateMode.PERSISTENT);
        zk.create("/j/null", null, open, CreateMode.PERSISTENT, stat);
        zk.create("/j/container", data, open, CreateMode.CONTAINER, stat);
        zk.create("/j/ttl", data, open, CreateMode.PERSISTENT_WITH_TTL, stat, 1000);
        zk.create("/j/mine-", new byte[0], open, CreateMode.EPHEMERAL_SEQUENTIAL);
        zk.exists("/j/null", false);
        zk.getData("/j", false, stat);
        zk.setData("/j/null", data, 0);
        zk.addAuthInfo("digest", "tom:secret".getBytes());
        zk.setACL("/j/null", ZooDefs.Ids.CREATOR_ALL_ACL, -1);
        zk.getACL("/j/null", stat);
        zk.getChildren("/j", false);
        zk.getChildren("/j", false, stat);
        zk.sync("/j");
        zk.multi(List.of(
            Op.check("/j", 0),
            Op.create("/j/m", data, open, CreateMode.PERSISTENT),
            Op.create("/j/mc", data, open, CreateMode.CONTAINER),
            Op.create("/j/mt", data, open, CreateMode.PERSISTENT_WITH_TTL, 1000),
            Op.setData("/j/m", null, 0),
            Op.delete("/j/m", -1)));
        try {
            zk.multi(List.of(Op.delete("/j/m", -1), Op.check("/j", 0)));
        } catch (KeeperException.NoNodeException expected) {
            // The failing multi is what was wanted.
        }
        zk.multi(List.of(Op.getChildren("/j"), Op.getData("/j"), Op.getData("/j/none")));
        zk.getEphemerals("/j");
        zk.getAllChildrenNumber("/j");
        zk.whoAmI();
        zk.exists("/j/later", true);
        zk.getData("/j", true, stat);
        zk.getChildren("/j", true);
        zk.addWatch("/j/p", event -> { }, AddWatchMode.PERSISTENT);
        zk.addWatch("/j/r", event -> { }, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.getTestable().closeSocket();
        again.await();
        zk.exists("/j", false);
        zk.removeAllWatches("/j/r", Watcher.WatcherType.Any, false);
        zk.setData("/j", data, -1);
        zk.delete("/j/null", -1);
        zk.close();
        System.exit(0);
    }
}
