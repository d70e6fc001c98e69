/**
 * The type casts of an engine's record reader, as a list of faults: what voids a whole poll, or silently loses a
 * figure, when a record has the wrong JSON type. From ovirt-engine's VdsBrokerObjectsBuilder.
 */
type Fault = (value: unknown) => string | undefined;

const mustBe =
  (what: string, test: (value: unknown) => boolean): Fault =>
  (value) =>
    test(value) ? undefined : `is ${JSON.stringify(value)}, not ${what}`;

const isText = (value: unknown): value is string => typeof value === 'string';
const plainNumber = /^-?\d+(\.\d+)?$/;

const text = mustBe('text', isText);
const decimalText = mustBe('decimal text', (value) => isText(value) && plainNumber.test(value));
const integerText = mustBe('integer text', (value) => isText(value) && /^-?\d+$/.test(value));
const integer = mustBe('an integer or its text', (value) =>
  isText(value) ? /^-?\d+$/.test(value) : Number.isInteger(value),
);
const list = mustBe('a list', Array.isArray);
const truth = mustBe('true or false', (value) => typeof value === 'boolean');
const acpi = mustBe('"true" or "false"', (value) => value === 'true' || value === 'false');
/** A whole number would be read as an integer, which the engine's double reader turns into nothing. */
const time = mustBe('text or a number with a fraction', (value) =>
  isText(value) ? plainNumber.test(value) : typeof value === 'number' && !Number.isInteger(value),
);

const status = mustBe('a status', (value) =>
  [
    'WaitForLaunch',
    'Powering up',
    'Up',
    'Paused',
    'RebootInProgress',
    'Powering down',
    'Migration Source',
    'Migration Destination',
    'Saving State',
    'Restoring state',
    'Down',
  ].includes(value as string),
);

const downFields: Readonly<Record<string, Fault>> = {
  vmId: text,
  status,
  statusTime: integerText,
  exitCode: integer,
  exitReason: integer,
  exitMessage: text,
};

const requiredFields: Readonly<Record<string, Fault>> = {
  vmId: text,
  status,
  statusTime: integerText,
  monitorResponse: integerText,
  elapsedTime: integerText,
  displayInfo: list,
  cpuUser: decimalText,
  cpuSys: decimalText,
  guestCPUCount: integer,
};

const optionalFields: Readonly<Record<string, Fault>> = {
  hash: integerText,
  session: text,
  acpiEnable: acpi,
  pauseCode: text,
  memUsage: integer,
  clientIp: text,
  timeOffset: integerText,
  migrationProgress: integer,
  appsList: list,
  netIfaces: list,
  disksUsage: list,
  pci_devices: list,
  username: text,
  guestFQDN: text,
  guestName: text,
  guestOs: text,
};

const osFields: Readonly<Record<string, Fault>> = {
  type: text,
  arch: text,
  kernel: text,
  distribution: text,
  version: text,
  codename: text,
};

const interfaceFields: Readonly<Record<string, Fault>> = { name: text, hw: text, inet: list, inet6: list };

const nicFields: Readonly<Record<string, Fault>> = {
  macAddr: text,
  name: text,
  rx: integerText,
  tx: integerText,
  rxDropped: integerText,
  txDropped: integerText,
  sampleTime: time,
};

const diskFields: Readonly<Record<string, Fault>> = {
  readRate: decimalText,
  writeRate: decimalText,
  readLatency: decimalText,
  writeLatency: decimalText,
  flushLatency: decimalText,
  readOps: integerText,
  writeOps: integerText,
  truesize: integerText,
};

const balloonFields: Readonly<Record<string, Fault>> = {
  balloon_max: integerText,
  balloon_min: integerText,
  balloon_cur: integerText,
  balloon_target: integerText,
  ballooning_enabled: truth,
};

const displayFields: Readonly<Record<string, Fault>> = {
  type: text,
  port: text,
  tlsPort: text,
  ipAddress: text,
};

type Json = Readonly<Record<string, unknown>>;

/** What an engine would choke on in a record of Host.getAllVmStats; [] for a good one. */
export function recordFaults(record: Json): string[] {
  if (record['status'] === 'Down') return faultsOf(record, '', downFields, {});
  return [
    ...faultsOf(record, '', requiredFields, optionalFields),
    ...members(record['network']).flatMap(([name, nic]) => faultsOf(nic, `network.${name}.`, nicFields, {})),
    ...members(record['disks']).flatMap(([name, disk]) => faultsOf(disk, `disks.${name}.`, diskFields, {})),
    ...members(record['displayInfo']).flatMap(([at, display]) =>
      faultsOf(display, `displayInfo.${at}.`, displayFields, {}),
    ),
    ...members(record['netIfaces']).flatMap(([at, nic]) =>
      faultsOf(nic, `netIfaces.${at}.`, interfaceFields, {}),
    ),
    ...part(record, 'balloonInfo', balloonFields),
    ...part(record, 'guestOsInfo', osFields),
    ...part(record, 'guestTimezone', { offset: integer, zone: text }),
  ];
}

function part(record: Json, name: string, fields: Readonly<Record<string, Fault>>): string[] {
  return record[name] === undefined ? [] : faultsOf(record[name] as Json, `${name}.`, fields, {});
}

function members(value: unknown): [string, Json][] {
  return Object.entries((value ?? {}) as Record<string, Json>);
}

function faultsOf(
  value: Json,
  where: string,
  required: Readonly<Record<string, Fault>>,
  optional: Readonly<Record<string, Fault>>,
): string[] {
  const check = ([name, fault]: [string, Fault]): string[] => {
    const found = value[name] === undefined ? 'is missing' : fault(value[name]);
    return found === undefined ? [] : [`${where}${name} ${found}`];
  };
  return [
    ...Object.entries(required).flatMap(check),
    ...Object.entries(optional)
      .filter(([name]) => value[name] !== undefined)
      .flatMap(check),
  ];
}
