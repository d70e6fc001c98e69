/**
 * Scheduler parameters: names, types, ranges and how `<cputune>` calls them.
 */
import { xmlElement } from '../util/xml-edit.js';
import type { XmlNodeElement } from '../util/xml-edit.js';
import type { TypedParam } from '../libvirt/typed-params.js';
import type { DomainConfig } from './domain-config.js';
import { Fault } from './fault.js';
import { withChildren } from './xml-text.js';

interface SchedulerParam {
  readonly name: string;
  /** Element of `<cputune>`. */
  readonly element: string;
  readonly type: 'ullong' | 'llong';
  /** Of a running domain where nobody has set one. */
  readonly standard: number;
  readonly range?: readonly [number, number];
}

const PERIOD = { type: 'ullong', standard: 100_000, range: [1000, 1_000_000] } as const;
const QUOTA = { type: 'llong', standard: -1, range: [1000, 17_592_186_044_415] } as const;
const part = (name: string, element: string): readonly SchedulerParam[] => [
  { name: `${name}_period`, element: `${element}period`, ...PERIOD },
  { name: `${name}_quota`, element: `${element}quota`, ...QUOTA },
];

/** In the order of virDomainGetSchedulerParameters. */
export const schedulerParams: readonly SchedulerParam[] = [
  { name: 'cpu_shares', element: 'shares', type: 'ullong', standard: 100 },
  ...part('vcpu', ''),
  ...part('emulator', 'emulator_'),
  ...part('global', 'global_'),
  ...part('iothread', 'iothread_'),
];

/** @param live a definition tells 0 of what it does not say */
export function readScheduler({ scheduler }: DomainConfig, live: boolean): TypedParam[] {
  return schedulerParams.map(({ name, type, standard }) => ({
    field: name,
    type,
    value: scheduler.get(name) ?? (live ? standard : 0),
  }));
}

/** The parameters that a call changes. Of a running domain 0 changes nothing, as libvirt has it. */
export function checkedScheduler(params: readonly TypedParam[], live: boolean): Map<string, number> {
  const changes = new Map<string, number>();
  for (const { field, type, value } of params) {
    const known = schedulerParams.find(({ name }) => name === field);
    if (!known) throw new Fault('argument-unsupported', `parameter '${field}' not supported`);
    if (type !== known.type) {
      throw new Fault(
        'invalid-argument',
        `invalid type '${type}' for parameter '${field}', expected '${known.type}'`,
      );
    }
    const unlimited = known.type === 'llong' && value < 0;
    const [low, high] = known.range ?? [0, Infinity];
    if (value !== 0 && !unlimited && (value < low || value > high)) {
      throw new Fault('invalid-argument', `value of '${field}' is out of range [${low}, ${high}]`);
    }
    if (value !== 0 || !live) changes.set(field, value);
  }
  return changes;
}

/** Takes what the model knows out of `<cputune>`. */
export function readCpuTune(tune: XmlNodeElement | undefined): Pick<DomainConfig, 'scheduler' | 'pins'> {
  const scheduler = new Map<string, number>();
  const pins = new Map<number, string>();
  for (const element of tune?.children() ?? []) {
    const known = schedulerParams.find((param) => param.element === element.name);
    const number = Number(element.text.trim());
    if (known && Number.isSafeInteger(number)) scheduler.set(known.name, number);
    if (element.name === 'vcpupin') {
      pins.set(Number(element.attribute('vcpu')) || 0, element.attribute('cpuset') ?? '');
    }
  }
  return { scheduler, pins };
}

/** @param tune as it was defined */
export function cpuTuneElement(
  { scheduler, pins }: DomainConfig,
  tune: XmlNodeElement | undefined,
): XmlNodeElement[] {
  const elements = [
    ...schedulerParams.flatMap(({ name, element }) => {
      const value = scheduler.get(name);
      return value === undefined ? [] : [xmlElement(element, {}, String(value))];
    }),
    ...[...pins].map(([vcpu, cpuset]) => xmlElement('vcpupin', { vcpu: String(vcpu), cpuset })),
  ];
  const kept = withChildren(
    tune ?? xmlElement('cputune'),
    ['vcpupin', ...schedulerParams.map(({ element }) => element)],
    elements,
  );
  return kept.nodes.length === 0 ? [] : [kept];
}
