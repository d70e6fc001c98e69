/** Help of one verb from its schema: parameters, result, example. Pure. */
import { resolveRef } from '../../protocol/schema.js';
import type { JsonSchema, VerbSpec } from '../../protocol/schema.js';
import { typesOf } from './parameters.js';

/** The part that follows description and usage. */
export function verbHelp(name: string, spec: VerbSpec, columns: number): string {
  const required = new Set(spec.params.required ?? []);
  const parameters = Object.entries(spec.params.properties ?? {}).flatMap(([parameter, schema]) => [
    parameterRow(parameter, schema, required.has(parameter)),
    ...memberRows(parameter, schema),
  ]);
  const sections = [
    parameters.length > 0 ? `Parameters:\n${rows(parameters, columns)}` : 'Parameters: none',
    `Result:\n${resultText(spec.result, columns)}`,
  ];
  if (spec.example) {
    const call = `vdsm-client ${name.replace('.', ' ')}${exampleWords(spec.example.params)}`;
    sections.push(`Example:\n${indent(`${call}\n${JSON.stringify(spec.example.result, null, 2)}`)}`);
  }
  return `\n${sections.join('\n\n')}`;
}

type Row = readonly [name: string, type: string, text: string];

function parameterRow(name: string, schema: JsonSchema, required: boolean): Row {
  const { description = '', default: preset } = resolveRef(schema);
  const notes = required
    ? ['Required.']
    : preset === undefined
      ? []
      : [`Default: ${JSON.stringify(preset)}.`];
  return [name, typeText(schema), [description, ...notes].filter((part) => part !== '').join(' ')];
}

function memberRows(parent: string, schema: JsonSchema): Row[] {
  const { properties = {}, required = [] } = resolveRef(schema);
  return Object.entries(properties).map(([member, inner]) =>
    parameterRow(`${parent}.${member}`, inner, required.includes(member)),
  );
}

/** `array of string`, `"Up" | "Down"`, `integer` ... */
export function typeText(schema: JsonSchema): string {
  const { enum: values, const: only, items, title, oneOf } = resolveRef(schema);
  if (oneOf && title === undefined) return oneOf.map(typeText).join(' | ');
  if (only !== undefined) return JSON.stringify(only);
  if (values) return values.length <= 4 ? values.map((value) => JSON.stringify(value)).join(' | ') : 'string';
  const types = typesOf(schema);
  if (types.includes('array') && items) return `array of ${typeText(items)}`;
  return types.length > 0 ? types.join(' | ') : (title ?? 'any');
}

function resultText(schema: JsonSchema, columns: number): string {
  const resolved = resolveRef(schema);
  const element = resolved.items ? resolveRef(resolved.items) : resolved;
  const members = Object.entries(element.properties ?? {});
  const type = typeText(schema);
  if (members.length === 0) {
    return indent(
      wrap(element.description ? `${type}: ${element.description}` : type, columns - 2).join('\n'),
    );
  }
  const table = members.map(([name, member]): Row => [
    name,
    typeText(member),
    resolveRef(member).description ?? '',
  ]);
  return `${indent(`${type} with`)}\n${rows(table, columns)}`;
}

function exampleWords(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return ` ${/^[\w.,:@/-]*$/.test(text) ? `${name}=${text}` : `${name}='${text.replaceAll("'", `'\\''`)}'`}`;
    })
    .join('');
}

/** Three aligned columns, the last one wrapped under itself. */
function rows(table: readonly Row[], columns: number): string {
  const nameWidth = Math.max(...table.map(([name]) => name.length));
  const typeWidth = Math.min(28, Math.max(...table.map(([, type]) => type.length)));
  const textAt = 2 + nameWidth + 2 + typeWidth + 2;
  return table
    .map(([name, type, text]) => {
      const head = `  ${name.padEnd(nameWidth)}  ${type.padEnd(typeWidth)}  `;
      return `${head}${wrap(text, Math.max(24, columns - textAt)).join(`\n${' '.repeat(textAt)}`)}`.trimEnd();
    })
    .join('\n');
}

export function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!;
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
