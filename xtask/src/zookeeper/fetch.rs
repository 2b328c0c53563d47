//! Gets ZooKeeper's jars once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::peers_folder;

/// The version compared with.
pub(crate) const VERSION: &str = "3.9.5";

/// The server and what its own distribution ships beside it, in the versions that it pins itself.
const DEPENDENCIES: [(&str, &str); 10] = [
    ("org.apache.zookeeper", "zookeeper"),
    ("commons-cli", "commons-cli"),
    ("org.jline", "jline"),
    ("org.eclipse.jetty", "jetty-server"),
    ("org.eclipse.jetty", "jetty-servlet"),
    ("com.fasterxml.jackson.core", "jackson-databind"),
    ("io.dropwizard.metrics", "metrics-core"),
    ("org.xerial.snappy", "snappy-java"),
    ("ch.qos.logback", "logback-core"),
    ("ch.qos.logback", "logback-classic"),
];

/// As the file that its distribution ships: everything from INFO upwards, to the console.
const LOGGING: &str = r#"<configuration>
  <appender name="CONSOLE" class="ch.qos.logback.core.ConsoleAppender">
    <encoder>
      <pattern>%d{ISO8601} [myid:%X{myid}] - %-5p [%t:%C{1}@%L] - %m%n</pattern>
    </encoder>
    <filter class="ch.qos.logback.classic.filter.ThresholdFilter">
      <level>INFO</level>
    </filter>
  </appender>
  <root level="INFO">
    <appender-ref ref="CONSOLE" />
  </root>
</configuration>
"#;

/// The folder with the jars; fetches them if they are not there yet.
pub(crate) fn jars() -> anyhow::Result<PathBuf> {
    let folder = peers_folder().join(format!("zookeeper-{VERSION}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    println!("fetching Apache ZooKeeper {VERSION} into {}", folder.display());
    // Other tasks may fetch at the same time: each into its own folder, and the first one wins.
    let part = peers_folder().join(format!("zookeeper-{VERSION}.{}", std::process::id()));
    fs::create_dir_all(&part)?;
    fs::write(part.join("pom.xml"), project())?;
    fs::write(logging(&part), LOGGING)?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", part.display()))
        .current_dir(&part)
        .output()
        .context("cannot run mvn, which fetches ZooKeeper's jars")?;
    ensure!(output.status.success(), "mvn: {}", String::from_utf8_lossy(&output.stdout));
    if fs::rename(&part, &folder).is_err() {
        ensure!(folder.is_dir(), "cannot create {}", folder.display());
        fs::remove_dir_all(&part)?;
    }
    Ok(folder)
}

/// The logging configuration in that folder.
pub(crate) fn logging(jars: &Path) -> PathBuf {
    jars.join("logback.xml")
}

/// A Maven project that depends on the server and nothing else.
fn project() -> String {
    let dependency = |(group, artifact): &(&str, &str)| {
        let version = if *artifact == "zookeeper" {
            format!("<version>{VERSION}</version>")
        } else {
            String::new()
        };
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             {version}<scope>compile</scope></dependency>\n"
        )
    };
    let dependencies: String = DEPENDENCIES.iter().map(dependency).collect();
    format!(
        "<project>\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>peers</groupId><artifactId>zookeeper-server</artifactId>\
         <version>1</version><packaging>pom</packaging>\n\
         <dependencyManagement><dependencies><dependency>\
         <groupId>org.apache.zookeeper</groupId><artifactId>parent</artifactId>\
         <version>{VERSION}</version><type>pom</type><scope>import</scope>\
         </dependency></dependencies></dependencyManagement>\n\
         <dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}
