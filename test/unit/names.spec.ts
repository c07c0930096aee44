import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../lib', import.meta.url));

/** The rooms and files that may name an auth method or a secrets engine. */
const MAY_NAME: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^auth\//, 'one file for each method'],
  [/^engines\//, 'one file or folder for each engine'],
  [/^testing\//, 'the simulated server has methods and engines'],
  [/^(index|core)\.ts$/, 'they export all of it'],
  [/^services\/(credentials|kv)\.service\.ts$/, 'the services of engines'],
  [/^services\/(services|connect-vault)\.ts$/, 'the list of services, and the object that has them'],
  [/^vault\.tokens\.ts$/, 'the injection tokens of these decorators: a database role has a path'],
  [/^cli\/dev(\.ts|\/)/, 'it sets a server up with them'],
  [/^cli\/exec(\.ts$|\/)/, 'it reads users of the database engine and values of KV'],
  [/^cli\/login-from-env\.ts$/, 'the variables of each method'],
  [/^integrations\/aws\//, 'a pool of one engine: it explains which paths have keys of AWS'],
];

/** Names of methods and engines in identifiers, imports and texts; words of TLS, drivers and servers are none. */
const NAMES: readonly RegExp[] = [
  /app_?role/i,
  /(secret|role)_?id(?![a-z])/i,
  /kubernetes|userpass|ldap|okta|radius|github/i,
  /(?<![a-z])kv(?![a-z])|\bKv[A-Z]|[a-z]Kv(?![a-z])|kvVersion|KvService/,
  /\b(pki|totp|cubbyhole)\b|transit(?!i)|(?<![a-z])gcp/i,
  /\bssh\b(?!-keygen)/i,
  /(^|\/)(static-)?creds?\//,
  /DatabaseCredentials|databasePath|database engine/,
  /auth\/(app-role|token)\.js|engines\/(kv|database|pki|ssh|gcp-token|identity-token|static-role)(\/|\.js)/,
];

function textsOf(file: string): { line: number; text: string }[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.ES2022,
    true,
  );
  const found: { line: number; text: string }[] = [];
  const visit = (node: ts.Node): void => {
    const isText =
      ts.isIdentifier(node) ||
      ts.isPrivateIdentifier(node) ||
      ts.isStringLiteralLike(node) ||
      ts.isTemplateHead(node) ||
      ts.isTemplateMiddleOrTemplateTail(node) ||
      ts.isRegularExpressionLiteral(node);
    if (isText)
      found.push({
        line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1,
        text: node.text,
      });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.c?ts$/.test(name))
  .map((name) => name.split(sep).join('/'))
  .sort();
const named = files.map((file) => ({
  file,
  names: textsOf(file).filter(({ text }) => NAMES.some((name) => name.test(text))),
}));

it('only auth/, engines/, testing/ and the files of an engine name a method or an engine', () => {
  const others = named.filter(({ file }) => !MAY_NAME.some(([path]) => path.test(file)));
  const wrong = others.flatMap(({ file, names }) =>
    names.map(({ line, text }) => `${file}:${line} ${text.slice(0, 80)}`),
  );
  expect(wrong).toEqual([]);
});

it('every file of that list names one, or is gone', () => {
  const naming = named.filter(({ names }) => names.length > 0).map(({ file }) => file);
  expect(MAY_NAME.filter(([path]) => !naming.some((file) => path.test(file)))).toEqual([]);
  // The search would find nothing at all if it were broken.
  expect(naming.length).toBeGreaterThan(20);
});
