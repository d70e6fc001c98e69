/**
 * Types of verbs, records and events. Generated from schema/*.json by schema/generate.ts: do not edit.
 */
/* eslint-disable */

/**
 * UUID of a virtual machine, libvirt's domain UUID.
 */
export type VmId = string;
/**
 * Status as statistics and events show it. The odd spelling is VDSM's.
 */
export type VmStatus =
  | 'WaitForLaunch'
  | 'Powering up'
  | 'Up'
  | 'Paused'
  | 'RebootInProgress'
  | 'Powering down'
  | 'Migration Source'
  | 'Migration Destination'
  | 'Saving State'
  | 'Restoring state'
  | 'Down';
/**
 * Decimal text: 2^31-1 plus the host's monotonic clock in ms. Orders records and events of one host.
 */
export type StatusTime = string;
/**
 * One VM's statistics: an element of the answers of Host.getAllVmStats and VM.getStats. Quantities are strings unless said otherwise, as engines cast them.
 */
export type VmStats = VmStatsLive | VmStatsDown;
/**
 * A count, size or time: decimal digits.
 */
export type VmStatsUint = string;
/**
 * An integer that may be negative.
 */
export type VmStatsInt = string;
/**
 * Two decimals, per cent of one core.
 */
export type VmStatsPercent2 = string;
/**
 * Decimal text with a fraction and without exponent.
 */
export type VmStatsFloat = string;
/**
 * ns per request; "0" without a request in the interval.
 */
export type VmStatsLatency = string;
/**
 * Why a paused VM is paused: NOERR where somebody asked for it, else the kind of I/O error.
 */
export type PauseCode = 'NOERR' | 'ENOSPC' | 'EIO' | 'EOTHER' | 'EPERM' | 'POSTCOPY';
/**
 * 0: went down normally, 1: failed.
 */
export type ExitCode = number;
/**
 * 0 success, 1 generic error, 2 lost QEMU, 3 start failed, 4 migrated away, 5 saved, 6 shut down by an administrator, 7 shut down from within the guest, 8 migration failed, 9 domain missing, 10 destroyed during start, 11 host shut down, 12 post-copy failed, 13 destroyed as part of a reboot, 14 destroyed after being paused too long.
 */
export type ExitReason = number;

export type VerbTypes = {
  'Host.ping': {
    params: {};
    input: {};
    result: true;
  };
  'Host.ping2': {
    params: {};
    input: {};
    result: true;
  };
  'Host.echo': {
    params: {
      /**
       * Any text.
       */
      message: string;
    };
    input: {
      /**
       * Any text.
       */
      message: string;
    };
    result: string;
  };
  'Host.getVMList': {
    params: {
      /**
       * Has no effect.
       */
      fullStatus?: boolean;
      /**
       * Only these VMs; empty means all.
       */
      vmList?: VmId[];
      /**
       * Has no effect.
       */
      onlyUUID?: boolean;
    };
    input: {
      /**
       * Has no effect.
       */
      fullStatus: boolean;
      /**
       * Only these VMs; empty means all.
       */
      vmList: VmId[];
      /**
       * Has no effect.
       */
      onlyUUID: boolean;
    };
    result: VmBrief[];
  };
  'Host.getVMFullList': {
    params: {
      /**
       * Only these VMs; empty means all.
       */
      vmList?: VmId[];
    };
    input: {
      /**
       * Only these VMs; empty means all.
       */
      vmList: VmId[];
    };
    result: VmBrief[];
  };
  'Host.dumpxmls': {
    params: {
      /**
       * The VMs; empty means none.
       */
      vmList?: VmId[];
    };
    input: {
      /**
       * The VMs; empty means none.
       */
      vmList: VmId[];
    };
    result: {
      [k: string]: string;
    };
  };
  'Host.getAllVmStats': {
    params: {};
    input: {};
    result: VmStats[];
  };
  'Host.getJobs': {
    params: {
      /**
       * Only jobs of this type.
       */
      job_type?: string;
      /**
       * Only these jobs; empty means all.
       */
      job_ids?: string[];
    };
    input: {
      /**
       * Only jobs of this type.
       */
      job_type?: string;
      /**
       * Only these jobs; empty means all.
       */
      job_ids: string[];
    };
    result: {
      [k: string]: {
        [k: string]: unknown;
      };
    };
  };
  'Host.getCapabilities': {
    params: {};
    input: {};
    result: {
      [k: string]: unknown;
    };
  };
  'Host.getStats': {
    params: {};
    input: {};
    result: {
      [k: string]: unknown;
    };
  };
  'VM.getStats': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: VmStats[];
  };
  'VM.getInfo': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: VmBrief;
  };
  'VM.pause': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: {
      vmList: {
        [k: string]: unknown;
      };
    };
  };
  'VM.cont': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: {
      vmList: {
        [k: string]: unknown;
      };
    };
  };
  'VM.create': {
    params: {
      /**
       * Ignored: the id is the one in the XML.
       */
      vmID?: string;
      /**
       * An object with the VM's XML; other members are ignored.
       */
      vmParams: {
        /**
         * libvirt's domain XML.
         */
        xml: string;
      };
    };
    input: {
      /**
       * Ignored: the id is the one in the XML.
       */
      vmID?: string;
      /**
       * An object with the VM's XML; other members are ignored.
       */
      vmParams: {
        /**
         * libvirt's domain XML.
         */
        xml: string;
      };
    };
    result: {
      vmId: VmId;
      status: VmStatus;
      statusTime: StatusTime;
      xml: string;
    };
  };
  'VM.destroy': {
    params: {
      vmID: VmId;
      /**
       * How often QEMU is asked to end before it is killed.
       */
      gracefulAttempts?: number;
    };
    input: {
      vmID: VmId;
      /**
       * How often QEMU is asked to end before it is killed.
       */
      gracefulAttempts: number;
    };
    result: true;
  };
  'Agent.getHealth': {
    params: {};
    input: {};
    result: Health;
  };
  'Agent.subscribe': {
    params: {
      resume?: EventPosition;
    };
    input: {
      resume?: EventPosition;
    };
    result: {
      epoch: string;
      /**
       * Number of the last event before the subscription.
       */
      seq: number;
      missed?: NumberedEvent[];
      vms?: StatusBlock[];
    };
  };
  'Agent.unsubscribe': {
    params: {};
    input: {};
    result: true;
  };
  'rpc.discover': {
    params: {};
    input: {};
    result: {
      [k: string]: unknown;
    };
  };
};
/**
 * A VM in a list.
 */
export type VmBrief = {
  vmId: VmId;
  status: VmStatus;
  statusTime: StatusTime;
};
/**
 * A VM that is not Down. Members that come from samples are absent, or the default, before two samples exist.
 */
export type VmStatsLive = {
  statusTime: VmStatsUint;
  status:
    | 'Up'
    | 'Paused'
    | 'Powering up'
    | 'Powering down'
    | 'RebootInProgress'
    | 'WaitForLaunch'
    | 'Migration Source'
    | 'Migration Destination'
    | 'Saving State'
    | 'Restoring state';
  vmId: string;
  vmName: string;
  vmType: string;
  kvmEnable: 'true';
  acpiEnable: 'true' | 'false';
  elapsedTime: VmStatsUint;
  monitorResponse: '0' | '-1';
  clientIp: string;
  timeOffset: VmStatsInt;
  displayInfo: VmStatsDisplay[];
  vmJobs: {};
  pauseCode?: 'NOERR' | 'ENOSPC' | 'EIO' | 'EOTHER' | 'EPERM' | 'POSTCOPY';
  hash?: VmStatsInt;
  watchdogEvent?: {
    /**
     * Epoch seconds.
     */
    time: number;
    action: string;
  };
  vcpuQuota?: VmStatsInt;
  /**
   * Microseconds.
   */
  vcpuPeriod?: number;
  /**
   * Per cent.
   */
  vcpuUserLimit?: number;
  /**
   * @minItems 1
   */
  ioTune?: [VmStatsTuning, ...VmStatsTuning[]];
  cpuUser: VmStatsPercent2;
  cpuSys: VmStatsPercent2;
  /**
   * ns since the start; "0.00" without samples.
   */
  cpuUsage: string;
  cpuActual: boolean;
  /**
   * By host device name.
   */
  network?: {
    [k: string]: VmStatsNic;
  };
  /**
   * By target device.
   */
  disks?: {
    [k: string]: VmStatsDisk;
  };
  balloonInfo?: VmStatsBalloon;
  vcpuCount?: VmStatsUint;
  memoryStats?: VmStatsMemory;
  /**
   * Whole per cent.
   */
  memUsage: string;
  username: string;
  session: string;
  guestCPUCount: number;
  appsList: string[];
  guestIPs: string;
  guestFQDN: string;
};
export type VmStatsDisplay = {
  type: string;
  port: string;
  tlsPort: string;
  ipAddress: string;
};
export type VmStatsTuning = {
  name: string;
  path: string;
  ioTune: {
    [k: string]: VmStatsInt;
  };
};
export type VmStatsNic = {
  macAddr: string;
  name: string;
  speed: '100' | '1000';
  state: 'unknown';
  rx: VmStatsUint;
  tx: VmStatsUint;
  rxErrors: VmStatsUint;
  rxDropped: VmStatsUint;
  txErrors: VmStatsUint;
  txDropped: VmStatsUint;
  /**
   * Monotonic seconds at which the counters were read; always written with a fraction.
   */
  sampleTime: number;
};
export type VmStatsDisk = {
  truesize: VmStatsUint;
  apparentsize: VmStatsUint;
  readRate: VmStatsFloat;
  writeRate: VmStatsFloat;
  readLatency: VmStatsLatency;
  writeLatency: VmStatsLatency;
  flushLatency: VmStatsLatency;
  readOps: VmStatsUint;
  writeOps: VmStatsUint;
  readBytes: VmStatsUint;
  writtenBytes: VmStatsUint;
  imageID?: string;
  lunGUID?: string;
};
/**
 * KiB.
 */
export type VmStatsBalloon = {
  balloon_max: VmStatsUint;
  balloon_min: VmStatsUint;
  balloon_cur: VmStatsUint;
  balloon_target: VmStatsUint;
  ballooning_enabled: boolean;
};
/**
 * Sizes in KiB, the rest per second.
 */
export type VmStatsMemory = {
  mem_total: VmStatsUint;
  mem_unused?: VmStatsUint;
  mem_free?: VmStatsUint;
  swap_in: number;
  swap_out: number;
  majflt: number;
  minflt: number;
  pageflt: number;
};
/**
 * A VM that ended and was not destroyed yet: nothing but why.
 */
export type VmStatsDown = {
  statusTime: VmStatsUint;
  status: 'Down';
  vmId: string;
  exitCode: 0 | 1;
  exitMessage: string;
  exitReason: number;
  timeOffset?: VmStatsInt;
};
/**
 * How the agent itself is.
 */
export type Health = {
  /**
   * starting: verbs answer 99; degraded: at least one problem is listed; stopping: going away.
   */
  status: 'ok' | 'degraded' | 'starting' | 'stopping';
  problems: {
    /**
     * A sentence that says what is wrong.
     */
    what: string;
    /**
     * ISO 8601, UTC.
     */
    since: string;
    /**
     * What an operator can do.
     */
    action: string;
  }[];
  libvirt: {
    state: 'connecting' | 'open' | 'lost' | 'stopped';
    /**
     * Time in that state.
     */
    sinceSec: number;
    uri: string;
    /**
     * True: monitoring works, lifecycle verbs are denied.
     */
    readOnly: boolean;
    /**
     * Why it is not open.
     */
    reason?: string;
  };
  sampler: {
    /**
     * Time since the last finished sampling cycle; null before the first.
     */
    lastTickAgeSec: number | null;
    /**
     * How long that cycle took; null before the first.
     */
    lastTickSec: number | null;
    /**
     * Age of the oldest sample of a running VM; null without one.
     */
    oldestSampleAgeSec: number | null;
  };
  /**
   * VMs on this host, Down ones included.
   */
  vms: number;
  /**
   * Open WebSocket sessions.
   */
  sessions: number;
  version: string;
  uptimeSec: number;
  /**
   * Names this run of the agent in event positions.
   */
  epoch: string;
};
/**
 * A point in the sequence of events.
 */
export type EventPosition = {
  /**
   * Names one run of the agent.
   */
  epoch: string;
  /**
   * Number of the event, from 1.
   */
  seq: number;
};
/**
 * An event as it was sent, with its number.
 */
export type NumberedEvent = {
  seq: number;
  /**
   * The topic, e.g. |virt|VM_status|<vmId>.
   */
  method: string;
  params: {
    [k: string]: unknown;
  };
};
/**
 * Status of one VM: all that its status events would have told.
 */
export type StatusBlock = {
  vmId: VmId;
  status: VmStatus;
  statusTime: StatusTime;
  pauseCode?: PauseCode;
  exitCode?: ExitCode;
  exitReason?: ExitReason;
  exitMessage?: string;
  /**
   * Offset of the guest's clock in seconds, decimal text.
   */
  timeOffset?: string;
};
export type VmStatusParams = {
  /**
   * 2^31-1 plus the host's monotonic clock in ms: the clock of statusTime.
   */
  notify_time: number;
  [k: string]: VmStatusChange | number;
};
/**
 * What changed. Other members of the statistics record may be among them.
 */
export type VmStatusChange = {
  status: VmStatus;
  vmId?: VmId;
  pauseCode?: PauseCode;
  exitCode?: ExitCode;
  exitReason?: ExitReason;
  exitMessage?: string;
  /**
   * Seconds, decimal text.
   */
  timeOffset?: string;
  ioerror?: {
    alias: string;
    name?: string;
    path?: string;
  };
  [k: string]: unknown;
};
