/**
 * What a VM's guest agent tells, in the form of the record's guest block (VDSM's names and types: an engine casts them).
 * Immutable, and replaced only by one that differs: readers compare by identity.
 */

export interface GuestOsInfo {
  readonly type: 'linux' | 'windows';
  readonly arch: string;
  readonly kernel: string;
  readonly distribution: string;
  readonly version: string;
  readonly codename: string;
}

export interface GuestFileSystem {
  readonly path: string;
  /** Bytes, decimal text. */
  readonly total: string;
  readonly used: string;
  readonly fs: string;
}

export interface GuestNetInterface {
  readonly name: string;
  readonly inet: readonly string[];
  readonly inet6: readonly string[];
  readonly hw: string;
}

/** A device of the guest and its driver. */
export interface GuestPciDevice {
  readonly device_id: number;
  /** yyyy-mm-dd, or ''. */
  readonly driver_date: string;
  readonly driver_name: string;
  readonly driver_version: string;
  readonly vendor_id: number;
}

/** Members without a value before the agent has told them are optional. */
export interface GuestInfo {
  /** Who is logged in: 'a@domain, b'. */
  readonly username: string;
  readonly session: string;
  /** Whole per cent; '0': not told. */
  readonly memUsage: string;
  /** CPUs online; -1: not told. */
  readonly guestCPUCount: number;
  readonly appsList: readonly string[];
  /** IPv4 addresses but the loopback's, separated by spaces. */
  readonly guestIPs: string;
  readonly guestFQDN: string;
  readonly guestName?: string;
  readonly guestOs?: string;
  readonly guestOsInfo?: GuestOsInfo;
  /** `offset` in minutes, east of Greenwich positive. */
  readonly guestTimezone?: { readonly offset: number; readonly zone: string };
  readonly disksUsage?: readonly GuestFileSystem[];
  readonly netIfaces?: readonly GuestNetInterface[];
  readonly pci_devices?: readonly GuestPciDevice[];
}

/** What stands in a record until an agent has answered. */
export const defaultGuest: GuestInfo = {
  username: 'Unknown',
  session: 'Unknown',
  memUsage: '0',
  guestCPUCount: -1,
  appsList: [],
  guestIPs: '',
  guestFQDN: '',
};
