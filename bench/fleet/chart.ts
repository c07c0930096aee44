import type { Result } from './report.js';
import { capacity, SCENARIOS, SECOND, type Scenario } from './scenarios.js';
import { between, most, sum } from './tally.js';

const WIDTH = 900;
const TOP = 84;
const LEFT = 52;
const PANEL = { width: 390, height: 76, gapX: 46, gapY: 28 };
/** Requests a second at the lower and upper edge; logarithmic in between. */
const LOW = 1;
const HIGH = 1000;

/** A scenario as a column: seconds before and after the incident's beginning, and for one point of the curve. */
interface Column {
  scenario: Scenario;
  from: number;
  to: number;
  bin: number;
  ticks: number[];
}

const COLUMNS: readonly Column[] = [
  { scenario: find('restart'), from: -60, to: 300, bin: 2, ticks: [-1, 0, 1, 2, 3, 4, 5] },
  { scenario: find('fail-over'), from: -60, to: 4500, bin: 15, ticks: [0, 15, 30, 45, 60, 75] },
];

function find(id: Scenario['id']): Scenario {
  return SCENARIOS.find((one) => one.id === id) as Scenario;
}

const STYLE = `
  .paper { fill: #ffffff } .ink { fill: #1f2933 } .pale { fill: #5b6570 } .grid { stroke: #e3e6ea }
  .edge { stroke: #b6bdc6 } .most { fill: #c9d7f2 } .mean { stroke: #2f5fb3 } .away { fill: #f6d7a7 }
  .limit { stroke: #b0452c }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #12171d } .ink { fill: #e6eaef } .pale { fill: #9aa5b1 } .grid { stroke: #29323c }
    .edge { stroke: #4a5663 } .most { fill: #2b4470 } .mean { stroke: #8fb4f5 } .away { fill: #6b4e1d }
    .limit { stroke: #e58a72 }
  }`;

const round = (value: number) => Number(value.toFixed(1));

function y(rate: number): number {
  const share = Math.log(Math.max(rate, LOW) / LOW) / Math.log(HIGH / LOW);
  return round(PANEL.height * (1 - Math.min(share, 1)));
}

/** Requests a second over time, for each client in each column; readable on light and dark pages. */
export function chart(results: readonly Result[], instances: number): string {
  const height = TOP + results.length * (PANEL.height + PANEL.gapY) + 6;
  const panels = results.flatMap(({ client, measured }, row) =>
    COLUMNS.map((column, index) => {
      const { series, begins } = measured[column.scenario.id];
      const left = LEFT + index * (PANEL.width + PANEL.gapX);
      const top = TOP + row * (PANEL.height + PANEL.gapY);
      const last = row === results.length - 1;
      const lines = panel(column, series, begins, capacity(instances));
      return `<g transform="translate(${left} ${top})">
<text class="ink" y="-7">${client.name}</text>${lines}${last ? minutes(column) : ''}</g>`;
    }),
  );
  const titles = COLUMNS.map(({ scenario }, index) => {
    const left = LEFT + index * (PANEL.width + PANEL.gapX);
    return `<text class="ink" x="${left}" y="54" font-weight="600">${scenario.title}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Requests a second over time, after a restart and after a fail-over, for each client">
<style>${STYLE}
</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="8"/>
${legend()}
${titles.join('\n')}
${panels.join('\n')}
</svg>
`;
}

function legend(): string {
  return `<g transform="translate(${LEFT} 20)" class="pale">
<text y="5">requests a second (log scale), over minutes</text>
<rect class="most" x="290" y="-5" width="22" height="11"/><text x="318" y="5">busiest second</text>
<path class="mean" d="M424 0h22" stroke-width="1.5"/><text x="452" y="5">mean</text>
<rect class="away" x="502" y="-5" width="22" height="11"/><text x="530" y="5">server down</text>
<path class="limit" d="M622 0h22" stroke-dasharray="4 3"/><text x="650" y="5">limit of the server</text>
</g>`;
}

const x = ({ from, to }: Column, second: number) => round(((second - from) / (to - from)) * PANEL.width);

function minutes(column: Column): string {
  const labels = column.ticks.map(
    (minute) =>
      `<text x="${x(column, minute * 60)}" y="${PANEL.height + 16}" text-anchor="middle">${minute}</text>`,
  );
  return `<g class="pale" font-size="11">${labels.join('')}</g>`;
}

/** @param limit requests a second that the server can answer */
function panel(column: Column, series: readonly number[], begins: number, limit: number): string {
  const { from, to, bin, scenario } = column;
  const { width, height } = PANEL;
  const highs: string[] = [];
  const means: string[] = [];
  for (let at = from; at < to; at += bin) {
    const part = between(series, begins + at, begins + at + bin);
    highs.push(`V${y(most(part))}H${x(column, at + bin)}`);
    means.push(`${x(column, at + bin / 2)} ${y(sum(part) / part.length)}`);
  }
  const zero = x(column, 0);
  const away = round(x(column, scenario.lasts / SECOND) - zero);
  const lines = [10, 100].map((rate) => `M0 ${y(rate)}H${width}`).join('');
  const rates = [1, 10, 100, 1000].map(
    (rate) => `<text x="-6" y="${y(rate) + 4}" text-anchor="end">${rate}</text>`,
  );
  return `
${away > 0 ? `<rect class="away" x="${zero}" width="${away}" height="${height}"/>` : ''}
<path class="grid" d="${lines}"/>
<path class="most" d="M0 ${height}${highs.join('')}V${height}Z"/>
<path class="limit" d="M0 ${y(limit)}H${width}" stroke-dasharray="4 3"/>
<path class="mean" d="M${means.join('L')}" fill="none" stroke-width="1.5" stroke-linejoin="round"/>
<path class="edge" d="M${zero} 0V${height}M0 ${height}H${width}" fill="none"/>
<g class="pale" font-size="11">${rates.join('')}</g>
`;
}
