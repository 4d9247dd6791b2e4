//! A host that has BusyBox and nothing else.

use hostler_e2e::until;

use super::Far;

/// A login whose whole world is BusyBox and /proc.
pub(crate) const WORLD: &str = r#"set -e
mkdir -p /box/bin /box/proc /box/tmp /box/dev /box/root
cp /bin/busybox /box/bin/busybox
chroot /box /bin/busybox --install /bin
mount -t proc proc /box/proc
mknod -m 666 /box/dev/null c 1 3 2>/dev/null || mount --bind /dev /box/dev
printf 'root:x:0:0:root:/root:/bin/sh\nbox:x:1500:1500::/root:/bin/sh\n' >/etc/box.passwd
useradd --uid 1500 --home-dir /root --no-create-home --shell /bin/sh box
chown 1500 /box/root /box/tmp
mkdir -p /etc/ssh/keys
cp ~root/.ssh/authorized_keys /etc/ssh/keys/box
chmod 644 /etc/ssh/keys/box
printf 'Match User box\n  ChrootDirectory /box\n  AuthorizedKeysFile /etc/ssh/keys/box\n' >>/etc/ssh/sshd_config
systemctl restart ssh.service"#;

#[test]
fn a_task_lives_and_ends_there_as_anywhere() {
    let Some(far) = Far::boot() else { return };
    far.host.sh(WORLD).ok();
    let far = far.user("box");
    let talks = far.service(
        "talks",
        r#"binary = "/bin/sh", args = ["-c", "echo up; echo \"$GREETING\"; while :; do sleep 5001; done"], env = { GREETING = "it's\nhere" }"#,
    );
    let deaf = far.service("deaf", r#"binary = "/bin/sh", args = ["-c", "trap '' TERM; while :; do sleep 5002; done"]"#);
    far.up(&format!("{talks}{deaf}"));
    let pid = far.process("sleep 5001");
    until("it has spoken", || far.yard.log("talks") == ["up", "it's", "here"]);

    far.yard.kill_host();
    far.yard.serve();
    far.yard.until_status("talks", "running");
    assert_eq!(far.process("sleep 5001"), pid);

    let leader = far.yard.pid("talks");
    far.host.run(&["kill", "-KILL", &leader.to_string()]).ok();
    far.yard.until_again("talks", leader);
    assert!(far.yard.story("talks").iter().any(|line| line.contains("SIGKILL")), "{:#?}", far.yard.story("talks"));
    assert_ne!(far.process("sleep 5001"), pid, "what the dead one left was killed");

    far.yard.run("stop").ok();
    assert_eq!([far.processes("sleep 5001"), far.processes("sleep 5002")].concat(), Vec::<u32>::new());
    far.without();
    far.until_gone("all removed", |_| false);
    far.yard.run("down").ok();
}
