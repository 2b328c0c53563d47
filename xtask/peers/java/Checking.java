// How a check runs and what it expects; see ../README.md for what is printed.

import java.util.Objects;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;

/** Programs of checks extend it for its short names: a class in no package cannot be imported. */
abstract class Checking {
    private static int failed;

    interface Body {
        void run() throws Exception;
    }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError reason) {
            failed++;
            System.out.println("FAIL " + name + ": " + reason.toString().replace('\n', ' '));
        }
    }

    /** Ends the checks and the program, whatever threads a client has left. */
    static void done() {
        System.out.println("done " + failed);
        System.exit(0);
    }

    static void equal(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + " is " + got + ", not " + want);
        }
    }

    static KeeperException refused(Code code, Body body) throws Exception {
        try {
            body.run();
        } catch (KeeperException error) {
            equal("error", error.code(), code);
            return error;
        }
        throw new AssertionError("success instead of " + code);
    }
}
