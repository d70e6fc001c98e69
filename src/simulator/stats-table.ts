/**
 * The statistics of one shape of domain: its fields by name, and its record templates by groups and mode.
 * Tables are made when the first domain of a shape is asked for and shared by all others.
 */
import type { DomainConfig } from './domain-config.js';
import type { SimulatedDomain } from './domain.js';
import { RecordTemplate } from './record-template.js';
import { fieldsOf, shapeOf } from './stats-fields.js';
import type { StatsField } from './stats-field.js';

/** full: the monitor answers; partial: it was skipped; inactive: there is none. */
export type RecordMode = 'full' | 'partial' | 'inactive';

export class StatsTable {
  readonly #byName: ReadonlyMap<string, StatsField>;
  readonly #templates = new Map<string, RecordTemplate>();

  constructor(private readonly fields: readonly StatsField[]) {
    this.#byName = new Map(fields.map((field) => [field.name, field]));
  }

  /** @param groups bits of virDomainStatsTypes */
  template(groups: number, mode: RecordMode): RecordTemplate {
    const key = `${mode}/${groups}`;
    let template = this.#templates.get(key);
    if (!template) {
      template = new RecordTemplate(this.fields.filter((field) => isTold(field, groups, mode)));
      this.#templates.set(key, template);
    }
    return template;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** One number, equal to what a record of the same moment holds; 0 for a field that this shape has not. */
  value(domain: SimulatedDomain, name: string): number {
    const source = this.#byName.get(name)?.source;
    if (!source || source.kind === 'text') return 0;
    if (source.kind === 'gauge') return source.read(domain);
    const seconds = domain.activeSec - (source.sinceSec?.(domain) ?? 0);
    return Math.floor(source.perSec * domain.factors[source.factor]! * seconds);
  }
}

function isTold(field: StatsField, groups: number, mode: RecordMode): boolean {
  if ((field.group & groups) === 0) return false;
  if (mode === 'full') return true;
  return mode === 'partial' ? !field.monitor : field.inactive;
}

export class StatsTables {
  readonly #byShape = new Map<string, StatsTable>();
  readonly #byConfig = new WeakMap<DomainConfig, StatsTable>();

  of(domain: SimulatedDomain): StatsTable {
    const known = this.#byConfig.get(domain.config);
    if (known) return known;
    const shape = shapeOf(domain);
    const key = JSON.stringify(shape);
    const table = this.#byShape.get(key) ?? new StatsTable(fieldsOf(shape));
    this.#byShape.set(key, table);
    this.#byConfig.set(domain.config, table);
    return table;
  }
}
