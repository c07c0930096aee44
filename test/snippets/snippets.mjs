// The blocks of TypeScript and JavaScript of all pages, as modules that the compiler can check. See test/README.md.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { blocksOf, filesBelow, PAGES, read } from '../support/pages.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Below `.cache`, which is not committed. */
const FOLDER = '.cache/snippets';
const READER = 'test/snippets/reader.ts';

/** All snippets, in the order of their pages. */
export const snippets = () =>
  PAGES.flatMap(blocksOf).filter(({ language }) => /^(?:[tj]s|typescript|javascript)$/.test(language));

/** Writes a module for each snippet; the text stands on the same lines as in its page. Returns their number. */
export function writeSnippets() {
  rmSync(join(root, FOLDER), { recursive: true, force: true });
  const all = snippets();
  const packageNames = namesOfPackage();
  const readerNames = exportsOf(READER);
  const earlier = new Map();
  for (const snippet of all) {
    const names = earlier.get(snippet.page) ?? earlier.set(snippet.page, new Map()).get(snippet.page);
    const path = pathOf(snippet);
    const from = (target) => {
      const way = posix.relative(posix.dirname(path), target).replace(/\.ts$/, '.js');
      return way.startsWith('.') ? way : `./${way}`;
    };
    const text = withLocalImports(snippet, all, from);
    const source = parse(text);
    const { declared, imported } = namesIn(source);
    const prelude = [...usesIn(source)]
      .filter((name) => !declared.has(name) && !imported.has(name))
      .map((name) => {
        if (names.has(name)) return names.get(name)(from);
        if (readerNames.has(name)) return `import { ${name} } from '${from(READER)}';`;
        if (imported.size === 0 && packageNames.has(name))
          return `import { ${name} } from '${packageNames.get(name)}';`;
        return '';
      });
    const exported = `export { ${ownDeclarations(source).join(', ')} };`;
    const head = prelude.join(' ') + '\n'.repeat(snippet.line - 1);
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), `${head}${text}${exported}\n`);
    for (const [name, clause] of imported) names.set(name, (way) => clause(way));
    for (const name of topLevel(source)) names.set(name, (way) => `import { ${name} } from '${way(path)}';`);
  }
  // For vitest, which looks for the options of decorators beside the file.
  const options = { extends: '../../tsconfig.json', include: ['.'] };
  writeFileSync(join(root, FOLDER, 'tsconfig.json'), JSON.stringify(options));
  return all.length;
}

/** Puts the line of a page in the place of a generated file in the output of the compiler. */
export const asPages = (output) =>
  output.replaceAll(
    new RegExp(`${FOLDER.replace('.', '\\.')}/(\\S+\\.md)/\\d+\\.ts\\((\\d+),(\\d+)\\)`, 'g'),
    '$1:$2:$3',
  );

export const pathOf = ({ page, line }) => `${FOLDER}/${page}/${line}.ts`;
const parse = (text) => ts.createSourceFile('snippet.ts', text, ts.ScriptTarget.ES2022, true);

/** A relative import is the block that names that file, of this page or of README; else it is the reader's own. */
function withLocalImports(snippet, all, from) {
  const imports = parse(snippet.text).statements.filter(
    (node) => ts.isImportDeclaration(node) && node.moduleSpecifier.text.startsWith('.'),
  );
  return imports.toReversed().reduce((text, { moduleSpecifier }) => {
    const file = posix
      .join(dirname(snippet.file ?? 'src/some.ts'), moduleSpecifier.text)
      .replace(/\.js$/, '');
    const target = [snippet.page, 'README.md']
      .map((page) => all.find((one) => one.page === page && one.file === `${file}.ts`))
      .find(Boolean);
    const way = from(target ? pathOf(target) : READER);
    return `${text.slice(0, moduleSpecifier.getStart())}'${way}'${text.slice(moduleSpecifier.end)}`;
  }, snippet.text);
}

/** Names that are bound anywhere in a block, and the import of each imported one. */
function namesIn(source) {
  const declared = new Set();
  const imported = new Map();
  const bind = (name) => {
    if (ts.isIdentifier(name)) declared.add(name.text);
    else for (const element of name.elements) if (element.name) bind(element.name);
  };
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      const specifier = node.moduleSpecifier.text;
      const from = specifier.startsWith('.')
        ? (way) => way(posix.join(FOLDER, specifier.replaceAll('../', '')))
        : () => specifier;
      const { name, namedBindings, phaseModifier } = node.importClause ?? {};
      const type = phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type ' : '';
      if (name) imported.set(name.text, (way) => `import ${type}${name.text} from '${from(way)}';`);
      for (const element of namedBindings?.elements ?? [])
        imported.set(
          element.name.text,
          (way) => `import ${type}{ ${element.getText()} } from '${from(way)}';`,
        );
      return;
    }
    const { name } = node;
    const binds =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isTypeParameterDeclaration(node);
    if (binds && name) bind(name);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { declared, imported };
}

/** Names that a block refers to. */
function usesIn(source) {
  const uses = new Set();
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isIdentifier(node) && !isLabel(node)) uses.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return uses;
}

/** Whether a name is that of a property, and so refers to nothing. */
function isLabel(node) {
  const { parent } = node;
  if (ts.isShorthandPropertyAssignment(parent)) return false;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  return (ts.isPropertyAssignment(parent) || ts.isClassElement(parent)) && parent.name === node;
}

const isExported = (node) => node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
const declarationsOf = (node) => {
  const nodes = ts.isVariableStatement(node) ? node.declarationList.declarations : [node];
  return nodes.flatMap(({ name }) => {
    if (!name) return [];
    return ts.isIdentifier(name) ? [name.text] : [...name.elements].map((element) => element.name.text);
  });
};
const isType = (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
const topLevel = (source) => source.statements.flatMap(declarationsOf);
/** Those that a later block of the page could not see without an export. */
const ownDeclarations = (source) =>
  source.statements
    .filter((node) => !isExported(node))
    .flatMap((node) => declarationsOf(node).map((name) => (isType(node) ? `type ${name}` : name)));

function exportsOf(path) {
  const { statements } = parse(read(path));
  const listed = statements
    .filter(ts.isExportDeclaration)
    .flatMap(({ exportClause }) => exportClause?.elements.map(({ name }) => name.text) ?? []);
  return new Set([...listed, ...statements.filter(isExported).flatMap(declarationsOf)]);
}

/** Folders whose subpath has another name. */
const SUBPATHS = { telemetry: 'opentelemetry' };

/** The entry point of each name; the main one if several have it. */
function namesOfPackage() {
  const entries = filesBelow(
    'lib',
    /^(?:index|core|(?:testing|telemetry)\/index|integrations\/[\w-]+\/index)\.ts$/,
  );
  const names = new Map();
  for (const entry of entries) {
    const subpath = /^lib\/(?:integrations\/)?([\w-]+)(?:\/index)?\.ts$/.exec(entry)?.[1];
    const specifier = subpath === 'index' ? 'nestjs-vault' : `nestjs-vault/${SUBPATHS[subpath] ?? subpath}`;
    for (const name of exportsOf(entry))
      if (!names.has(name) || specifier === 'nestjs-vault') names.set(name, specifier);
  }
  return names;
}
