/**
 * Whether a text is well-formed XML as far as its tags go. The parser mends what is broken (a missing end tag, an attribute
 * given twice), so that a document that is written again would say something else, and nobody would notice. References
 * and characters are left to whoever reads the document next.
 */

const name = String.raw`[^\s<>/="'!?&][^\s<>/="'&]*`;
const attribute = String.raw`\s+(?:${name})\s*=\s*(?:"[^"<]*"|'[^'<]*')`;
const TOKEN = new RegExp(
  String.raw`[^<]+|<!--[^]*?-->|<!\[CDATA\[[^]*?\]\]>|<\?[^]*?\?>|<!DOCTYPE[^<>[]*(?:\[[^\]]*\])?\s*>` +
    String.raw`|</(?<end>${name})\s*>|<(?<start>${name})(?<attributes>(?:${attribute})*)\s*(?<empty>/?)>`,
  'y',
);
const ATTRIBUTE_NAME = new RegExp(String.raw`\s(${name})\s*=\s*(?:"[^"]*"|'[^']*')`, 'g');

/** What is wrong, in a few words; undefined where nothing is. */
export function faultInXml(xml: string): string | undefined {
  const open: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < xml.length; at = TOKEN.lastIndex) {
    const match = TOKEN.exec(xml);
    if (!match) return `what begins in line ${lineOf(xml, at)} is no tag`;
    const { start, end, attributes = '', empty } = match.groups ?? {};
    if (start !== undefined) {
      const twice = repeated(attributes);
      if (twice !== undefined) return `<${start}> in line ${lineOf(xml, at)} has attribute ${twice} twice`;
      if (empty === '') open.push(start);
    } else if (end !== undefined) {
      const expected = open.pop();
      if (end !== expected) {
        return `</${end}> in line ${lineOf(xml, at)} ends ${expected === undefined ? 'nothing' : `<${expected}>`}`;
      }
    }
  }
  return open.length > 0 ? `<${open.at(-1)}> has no end` : undefined;
}

function repeated(attributes: string): string | undefined {
  if (attributes === '') return undefined;
  const names = Array.from(attributes.matchAll(ATTRIBUTE_NAME), ([, each]) => each);
  return names.find((each, index) => names.indexOf(each) !== index);
}

function lineOf(xml: string, at: number): number {
  return xml.slice(0, at).split('\n').length;
}
