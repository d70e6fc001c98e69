/**
 * What runs inside the test guest: texts of its scripts and of a few files under /etc. Shell of busybox.
 */

/** Brings the machine up, then serves the console; the kernel's command line may set GUEST_NAME. */
const INIT = `#!/bin/busybox sh
export PATH=/bin:/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
ln -s /run /var/run
dmesg -n 1
hostname "\${GUEST_NAME:-vdsm-guest}"
for module in $(cat /modules/order); do insmod /modules/$module; done
ip link set lo up
for nic in /sys/class/net/eth*; do [ -e "$nic" ] && ip link set $(basename $nic) up; done
cp /etc/utmp.alice /run/utmp
mount -t ext4 /dev/vdb /mnt 2>/dev/null || loop-disk
uevent on-uevent >/dev/null 2>&1 &
acpid -f -c /etc/acpi -l /dev/null &
setsid console </dev/ttyS0 >/dev/ttyS0 2>&1 &
echo GUEST-READY >/dev/console
agent-start &
while true; do dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null; sleep 1; done
`;

/** A file system that can be frozen. */
const LOOP_DISK = `#!/bin/busybox sh
truncate -s 1M /disk.img
losetup /dev/loop0 /disk.img
mke2fs /dev/loop0 >/dev/null 2>&1
mount -t ext4 /dev/loop0 /mnt
`;

/** Without udev nobody names the channel's port; the host announces it a moment after the driver is loaded. */
const AGENT_START = `#!/bin/busybox sh
channel=org.qemu.guest_agent.0
mkdir -p /dev/virtio-ports
for attempt in $(seq 50); do
  for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name 2>/dev/null)" = $channel ] || continue
    ln -sf ../$(basename $port) /dev/virtio-ports/$channel
    TZ=GST-4 exec /sbin/qemu-ga -m virtio-serial -p /dev/virtio-ports/$channel >/dev/null 2>&1
  done
  usleep 100000
done
`;

/** What udev's rules would do for devices that are plugged in later. */
const ON_UEVENT = `#!/bin/busybox sh
[ "$ACTION" = add ] || exit 0
case $SUBSYSTEM in
  cpu) echo 1 >/sys$DEVPATH/online ;;
  memory) echo online >/sys$DEVPATH/state ;;
  net) ip link set \${DEVPATH##*/} up ;;
esac
`;

/** Reads "id command" lines; answers "GUEST-RESULT id code base64-of-output". The other half is guest-console.ts. */
const CONSOLE = `#!/bin/busybox sh
stty -echo -onlcr
while true; do
  while read -r id command; do
    output=$(eval "$command" 2>&1 </dev/null)
    code=$?
    echo "GUEST-RESULT $id $code $(echo "$output" | base64 | tr -d '\\n')"
  done
  sleep 1
done
`;

/** The guest agent calls it with -P, -H or -r. */
const SHUTDOWN = `#!/bin/busybox sh
umount /mnt
case "$*" in
  *-r*) echo GUEST-REBOOT >/dev/console; reboot -f ;;
  *-H*) echo GUEST-HALT >/dev/console; halt -f ;;
  *) echo GUEST-POWEROFF >/dev/console; poweroff -f ;;
esac
`;

const POWER_BUTTON = '#!/bin/busybox sh\nexec shutdown -P\n';

const OS_RELEASE = `ID=vdsm-guest
NAME="VDSM Guest"
PRETTY_NAME="VDSM Guest 1.2 (Tiny)"
VERSION="1.2 (Tiny)"
VERSION_ID=1.2
VERSION_CODENAME=tiny
`;

/** Path in the guest -> text; all may be executed. */
export const guestScripts: Readonly<Record<string, string>> = {
  init: INIT,
  'sbin/agent-start': AGENT_START,
  'sbin/console': CONSOLE,
  'sbin/loop-disk': LOOP_DISK,
  'sbin/on-uevent': ON_UEVENT,
  'sbin/shutdown': SHUTDOWN,
  'etc/acpi/PWRF/00000080': POWER_BUTTON,
  'etc/os-release': OS_RELEASE,
};

/** Who is logged in after boot. */
export const guestUser = { name: 'alice', line: 'ttyS0', loginSec: 1_767_225_600 };

/** One record of the C library's utmp file on x86-64: a logged-in user. */
export function utmpRecord({ name, line, loginSec } = guestUser): Buffer {
  const USER_PROCESS = 7;
  const record = Buffer.alloc(384);
  record.writeInt16LE(USER_PROCESS, 0);
  record.write(line, 8, 32, 'latin1');
  record.write(name, 44, 32, 'latin1');
  record.writeInt32LE(loginSec, 340);
  return record;
}
