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
      [k: string]: Job;
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
  'Host.getAllVmIoTunePolicies': {
    params: {};
    input: {};
    result: {
      [k: string]: {
        policy: DiskPolicy[];
        current_values: DiskTunable[];
      };
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
  'VM.create': {
    params: {
      /**
       * Ignored: the id is the one in the XML.
       */
      vmID?: string;
      /**
       * An object with the VM's XML; members that are not named here are ignored.
       */
      vmParams: {
        /**
         * libvirt's domain XML.
         */
        xml: string;
        /**
         * File with the saved memory: its path, or an object with it. The VM is restored from it instead of started.
         */
        memoryDumpVolume?: string | FileVolume;
        /**
         * File that VM.hibernate wrote beside it; by default the memory file's path with `.json` behind it.
         */
        memoryConfVolume?: string | FileVolume;
      };
    };
    input: {
      /**
       * Ignored: the id is the one in the XML.
       */
      vmID?: string;
      /**
       * An object with the VM's XML; members that are not named here are ignored.
       */
      vmParams: {
        /**
         * libvirt's domain XML.
         */
        xml: string;
        /**
         * File with the saved memory: its path, or an object with it. The VM is restored from it instead of started.
         */
        memoryDumpVolume?: string | FileVolume;
        /**
         * File that VM.hibernate wrote beside it; by default the memory file's path with `.json` behind it.
         */
        memoryConfVolume?: string | FileVolume;
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
  'VM.shutdown': {
    params: {
      vmID: VmId;
      /**
       * Seconds that the guest's users are warned before: for oVirt's guest agent of old. QEMU's knows no such thing, so it has no effect.
       */
      delay?: number;
      /**
       * What they are told; no effect, as delay.
       */
      message?: string;
      /**
       * Reboot instead of shutting down.
       */
      reboot?: boolean;
      /**
       * Seconds that each step is given.
       */
      timeout?: number;
      /**
       * End or reset the VM where the guest does not obey.
       */
      force?: boolean;
    };
    input: {
      vmID: VmId;
      /**
       * Seconds that the guest's users are warned before: for oVirt's guest agent of old. QEMU's knows no such thing, so it has no effect.
       */
      delay: number;
      /**
       * What they are told; no effect, as delay.
       */
      message: string;
      /**
       * Reboot instead of shutting down.
       */
      reboot: boolean;
      /**
       * Seconds that each step is given.
       */
      timeout: number;
      /**
       * End or reset the VM where the guest does not obey.
       */
      force: boolean;
    };
    result: true;
  };
  'VM.reset': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: true;
  };
  'VM.setDestroyOnReboot': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: true;
  };
  'VM.hibernate': {
    params: {
      vmID: VmId;
      /**
       * Path of the memory file, which must not exist. After a comma, the path of the configuration file; by default the memory file's with `.json` behind it.
       */
      hibernationVolHandle: string;
    };
    input: {
      vmID: VmId;
      /**
       * Path of the memory file, which must not exist. After a comma, the path of the configuration file; by default the memory file's with `.json` behind it.
       */
      hibernationVolHandle: string;
    };
    result: true;
  };
  'VM.getMigrationStatus': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: {
      status: Done;
      /**
       * Per cent.
       */
      progress: number;
    };
  };
  'VM.migrateCancel': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: true;
  };
  'VM.migrateChangeParams': {
    params: {
      vmID: VmId;
      /**
       * maxBandwidth in MiB/s.
       */
      params: {
        [k: string]: unknown;
      };
    };
    input: {
      vmID: VmId;
      /**
       * maxBandwidth in MiB/s.
       */
      params: {
        [k: string]: unknown;
      };
    };
    result: true;
  };
  'VM.setTicket': {
    params: {
      vmID: VmId;
      /**
       * New password; empty closes the console.
       */
      password: string;
      /**
       * Seconds for which it is valid.
       */
      ttl: number;
      /**
       * What becomes of who is connected.
       */
      existingConnAction: 'disconnect' | 'fail' | 'keep';
      /**
       * Who asks: userName, userId.
       */
      params?: {
        [k: string]: unknown;
      };
    };
    input: {
      vmID: VmId;
      /**
       * New password; empty closes the console.
       */
      password: string;
      /**
       * Seconds for which it is valid.
       */
      ttl: number;
      /**
       * What becomes of who is connected.
       */
      existingConnAction: 'disconnect' | 'fail' | 'keep';
      /**
       * Who asks: userName, userId.
       */
      params: {
        [k: string]: unknown;
      };
    };
    result: true;
  };
  'VM.updateDevice': {
    params: {
      vmID: VmId;
      /**
       * deviceType, and what belongs to it. interface: alias (or the NIC's xml), linkActive, network ('' cuts the link), filter with filterParameters, mtu, specParams with inbound and outbound. graphics: graphicsType, password (empty closes the console; of VNC the first 8 bytes count), ttl in seconds, existingConnAction, disconnectAction (none, lock_screen, logout, shutdown, reboot; the first three do nothing), consoleDisconnectActionDelay in minutes, params with userName and userId.
       */
      params: {
        [k: string]: unknown;
      };
    };
    input: {
      vmID: VmId;
      /**
       * deviceType, and what belongs to it. interface: alias (or the NIC's xml), linkActive, network ('' cuts the link), filter with filterParameters, mtu, specParams with inbound and outbound. graphics: graphicsType, password (empty closes the console; of VNC the first 8 bytes count), ttl in seconds, existingConnAction, disconnectAction (none, lock_screen, logout, shutdown, reboot; the first three do nothing), consoleDisconnectActionDelay in minutes, params with userName and userId.
       */
      params: {
        [k: string]: unknown;
      };
    };
    result: {};
  };
  'VM.changeCD': {
    params: {
      vmID: VmId;
      /**
       * Path of the image, empty to take it out; or an object with iface, index or name, and path or drive_spec.
       */
      driveSpec:
        | string
        | {
            [k: string]: unknown;
          };
    };
    input: {
      vmID: VmId;
      /**
       * Path of the image, empty to take it out; or an object with iface, index or name, and path or drive_spec.
       */
      driveSpec:
        | string
        | {
            [k: string]: unknown;
          };
    };
    result: {};
  };
  'VM.changeFloppy': {
    params: {
      vmID: VmId;
      /**
       * Path of the image, empty to take it out; or an object with iface, index or name, and path or drive_spec.
       */
      driveSpec:
        | string
        | {
            [k: string]: unknown;
          };
    };
    input: {
      vmID: VmId;
      /**
       * Path of the image, empty to take it out; or an object with iface, index or name, and path or drive_spec.
       */
      driveSpec:
        | string
        | {
            [k: string]: unknown;
          };
    };
    result: {};
  };
  'VM.hotplugNic': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    result: {
      devices: {
        macAddr: string;
        alias: string;
      }[];
      /**
       * The VM's XML afterwards.
       */
      xml: string;
    };
  };
  'VM.hotunplugNic': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    result: {};
  };
  'VM.hotplugDisk': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    result: {};
  };
  'VM.hotunplugDisk': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
      };
    };
    result: {};
  };
  'VM.hotplugMemory': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
        /**
         * MiB that the guest keeps from now on whatever the balloon.
         */
        memGuaranteedSize?: number;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
        /**
         * MiB that the guest keeps from now on whatever the balloon.
         */
        memGuaranteedSize?: number;
      };
    };
    result: {};
  };
  'VM.hotunplugMemory': {
    params: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
        /**
         * MiB that the guest keeps from now on whatever the balloon.
         */
        memGuaranteedSize?: number;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vmId and xml: `<hotplug><devices>...</devices><metadata>...</metadata></hotplug>`.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * The hotplug document.
         */
        xml: string;
        /**
         * MiB that the guest keeps from now on whatever the balloon.
         */
        memGuaranteedSize?: number;
      };
    };
    result: true;
  };
  'VM.setNumberOfCpus': {
    params: {
      vmID: VmId;
      /**
       * vCPUs, up to the VM's maximum.
       */
      numberOfCpus: number;
      /**
       * Host CPUs of each vCPU, e.g. 0-1,4.
       */
      cpusets?: string[];
    };
    input: {
      vmID: VmId;
      /**
       * vCPUs, up to the VM's maximum.
       */
      numberOfCpus: number;
      /**
       * Host CPUs of each vCPU, e.g. 0-1,4.
       */
      cpusets?: string[];
    };
    result: {};
  };
  'VM.setBalloonTarget': {
    params: {
      vmID: VmId;
      /**
       * KiB.
       */
      target: number;
    };
    input: {
      vmID: VmId;
      /**
       * KiB.
       */
      target: number;
    };
    result: Done;
  };
  'VM.setCpuTuneQuota': {
    params: {
      vmID: VmId;
      /**
       * Microseconds; -1 is no limit.
       */
      quota: number;
    };
    input: {
      vmID: VmId;
      /**
       * Microseconds; -1 is no limit.
       */
      quota: number;
    };
    result: Done;
  };
  'VM.setCpuTunePeriod': {
    params: {
      vmID: VmId;
      /**
       * Microseconds.
       */
      period: number;
    };
    input: {
      vmID: VmId;
      /**
       * Microseconds.
       */
      period: number;
    };
    result: Done;
  };
  'VM.setIoTune': {
    params: {
      vmID: VmId;
      /**
       * Disks by name or path, with their limits.
       */
      tunables: {
        /**
         * Target device, e.g. vda.
         */
        name?: string;
        /**
         * Path of the image.
         */
        path?: string;
        ioTune: DiskLimits;
      }[];
    };
    input: {
      vmID: VmId;
      /**
       * Disks by name or path, with their limits.
       */
      tunables: {
        /**
         * Target device, e.g. vda.
         */
        name?: string;
        /**
         * Path of the image.
         */
        path?: string;
        ioTune: DiskLimits;
      }[];
    };
    result: Done;
  };
  'VM.getIoTune': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: DiskTunable[];
  };
  'VM.getIoTunePolicy': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: DiskPolicy[];
  };
  'VM.updateVmPolicy': {
    params: {
      vmID: VmId;
      /**
       * vcpuLimit in per cent, and ioTune: disks with maximum and guaranteed limits.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * Per cent of the VM's CPUs.
         */
        vcpuLimit?: number;
        /**
         * Disks by name, path or image ids, with guaranteed and maximum.
         */
        ioTune?: {
          [k: string]: unknown;
        }[];
        [k: string]: unknown;
      };
    };
    input: {
      vmID: VmId;
      /**
       * vcpuLimit in per cent, and ioTune: disks with maximum and guaranteed limits.
       */
      params: {
        /**
         * The VM's id once more.
         */
        vmId?: string;
        /**
         * Per cent of the VM's CPUs.
         */
        vcpuLimit?: number;
        /**
         * Disks by name, path or image ids, with guaranteed and maximum.
         */
        ioTune?: {
          [k: string]: unknown;
        }[];
        [k: string]: unknown;
      };
    };
    result: Done;
  };
  'VM.diskSizeExtend': {
    params: {
      vmID: VmId;
      /**
       * The disk: name, path, alias or image ids.
       */
      driveSpecs: {
        [k: string]: unknown;
      };
      /**
       * Bytes.
       */
      newSize: string;
    };
    input: {
      vmID: VmId;
      /**
       * The disk: name, path, alias or image ids.
       */
      driveSpecs: {
        [k: string]: unknown;
      };
      /**
       * Bytes.
       */
      newSize: string;
    };
    /**
     * The size now, bytes.
     */
    result: string;
  };
  'VM.snapshot': {
    params: {
      vmID: VmId;
      /**
       * Disks with the files that they go on with: name (or image ids), path (or volumeID).
       */
      snapDrives: {
        [k: string]: unknown;
      }[];
      /**
       * Path of a file for the memory; without it disks only.
       */
      snapMemory?: string;
      /**
       * The guest's file systems are frozen already.
       */
      frozen?: boolean;
      /**
       * Id of the job; made up if absent.
       */
      jobUUID?: string;
      /**
       * Minutes for the whole.
       */
      timeout?: number;
      /**
       * Minutes that the guest may stay frozen.
       */
      freeze_timeout?: number;
    };
    input: {
      vmID: VmId;
      /**
       * Disks with the files that they go on with: name (or image ids), path (or volumeID).
       */
      snapDrives: {
        [k: string]: unknown;
      }[];
      /**
       * Path of a file for the memory; without it disks only.
       */
      snapMemory?: string;
      /**
       * The guest's file systems are frozen already.
       */
      frozen: boolean;
      /**
       * Id of the job; made up if absent.
       */
      jobUUID?: string;
      /**
       * Minutes for the whole.
       */
      timeout: number;
      /**
       * Minutes that the guest may stay frozen.
       */
      freeze_timeout: number;
    };
    result: true;
  };
  'VM.merge': {
    params: {
      vmID: VmId;
      /**
       * The disk: name, path, alias or image ids.
       */
      drive: {
        [k: string]: unknown;
      };
      /**
       * File to commit into: path, or its last part.
       */
      baseVolUUID: string;
      /**
       * File that is committed: path, or its last part.
       */
      topVolUUID: string;
      /**
       * MiB/s; 0 is no limit.
       */
      bandwidth?: number;
      /**
       * Id of the job; made up if absent.
       */
      jobUUID?: string;
    };
    input: {
      vmID: VmId;
      /**
       * The disk: name, path, alias or image ids.
       */
      drive: {
        [k: string]: unknown;
      };
      /**
       * File to commit into: path, or its last part.
       */
      baseVolUUID: string;
      /**
       * File that is committed: path, or its last part.
       */
      topVolUUID: string;
      /**
       * MiB/s; 0 is no limit.
       */
      bandwidth: number;
      /**
       * Id of the job; made up if absent.
       */
      jobUUID?: string;
    };
    result: true;
  };
  'VM.freeze': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: true;
  };
  'VM.thaw': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: true;
  };
  'VM.screenshot': {
    params: {
      vmID: VmId;
    };
    input: {
      vmID: VmId;
    };
    result: {
      /**
       * Base64.
       */
      data: string;
      encoding: 'base64';
      mime_type: string;
    };
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
  /**
   * Commits of disk files under way, by job id. Absent right after a start of the agent: not known yet.
   */
  vmJobs?: {
    [k: string]: VmStatsVmJob;
  };
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
  /**
   * Who is logged in: "a@domain, b"; "Unknown" without an agent.
   */
  username: string;
  session: string;
  /**
   * CPUs online; -1: not told.
   */
  guestCPUCount: number;
  appsList: string[];
  /**
   * IPv4 addresses but the loopback's, separated by spaces.
   */
  guestIPs: string;
  guestFQDN: string;
  guestName?: string;
  /**
   * Kernel release, or the name of a Windows.
   */
  guestOs?: string;
  guestOsInfo?: VmStatsGuestOs;
  guestTimezone?: VmStatsGuestTimezone;
  disksUsage?: VmStatsFileSystem[];
  netIfaces?: VmStatsGuestInterface[];
  pci_devices?: VmStatsPciDevice[];
};
export type VmStatsDisplay = {
  type: string;
  port: string;
  tlsPort: string;
  ipAddress: string;
};
/**
 * One commit: bytes done, and in all.
 */
export type VmStatsVmJob = {
  id: string;
  jobType: 'block';
  blockJobType: 'commit';
  /**
   * Target name, e.g. vda.
   */
  drive: string;
  imgUUID: string;
  /**
   * MiB/s; 0 is no limit.
   */
  bandwidth: number;
  cur: VmStatsUint;
  end: VmStatsUint;
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
export type VmStatsGuestOs = {
  type: 'linux' | 'windows';
  arch: string;
  kernel: string;
  distribution: string;
  version: string;
  codename: string;
};
export type VmStatsGuestTimezone = {
  /**
   * Minutes.
   */
  offset: number;
  zone: string;
};
/**
 * Sizes in bytes.
 */
export type VmStatsFileSystem = {
  path: string;
  total: VmStatsUint;
  used: VmStatsUint;
  fs: string;
};
export type VmStatsGuestInterface = {
  name: string;
  inet: string[];
  inet6: string[];
  hw: string;
};
export type VmStatsPciDevice = {
  device_id: number;
  driver_date: string;
  driver_name: string;
  driver_version: string;
  vendor_id: number;
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
 * A job of this host.
 */
export type Job = {
  id: string;
  status: 'pending' | 'running' | 'done' | 'aborted' | 'failed';
  description: string;
  job_type: string;
  /**
   * Per cent.
   */
  progress?: number;
  error?: {
    code: number;
    message: string;
  };
};
export type DiskPolicy = {
  /**
   * Target device, e.g. vda.
   */
  name: string;
  /**
   * Path of the image.
   */
  path: string;
  guaranteed: DiskLimits;
  maximum: DiskLimits;
};
/**
 * Limits of one disk; 0 is none. total excludes read and write of the same kind.
 */
export type DiskLimits = {
  total_bytes_sec?: number;
  read_bytes_sec?: number;
  write_bytes_sec?: number;
  total_iops_sec?: number;
  read_iops_sec?: number;
  write_iops_sec?: number;
  [k: string]: unknown;
};
export type DiskTunable = {
  /**
   * Target device, e.g. vda.
   */
  name: string;
  /**
   * Path of the image.
   */
  path: string;
  ioTune: DiskLimits;
};
/**
 * A file in place of a volume of a storage pool.
 */
export type FileVolume = {
  /**
   * Absolute path.
   */
  path: string;
  [k: string]: unknown;
};
/**
 * What verbs of policy programs answer.
 */
export type Done = {
  code: 0;
  message: 'Done';
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
  /**
   * VMs that VM.create accepted and that do not run yet.
   */
  starts: {
    /**
     * Being started now.
     */
    running: number;
    /**
     * Waiting for a place.
     */
    waiting: number;
    /**
     * Started at the same time at most.
     */
    places: number;
    /**
     * Wait of the one that waits longest.
     */
    longestWaitSec: number;
  };
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
export type JobStatusParams = {
  /**
   * 2^31-1 plus the host's monotonic clock in ms.
   */
  notify_time: number;
  id: string;
  status: string;
  description: string;
  job_type: string;
  /**
   * Per cent.
   */
  progress?: number;
  error?: {
    [k: string]: unknown;
  };
};
