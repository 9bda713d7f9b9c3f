import { createRequire } from 'node:module';

import type { Chart, Picture } from './chart.js';
import type { Theme } from './theme.js';

/** The part of the library that is used here. */
interface ECharts {
  init(
    element: null,
    theme: null,
    options: { renderer: 'svg'; ssr: true; width: number; height: number },
  ): { setOption(option: Picture): void; renderToSVGString(): string; dispose(): void };
}

export const WIDTH = 940;

/** The picture as SVG text, without scripts. The library takes a while to load: only when drawing. */
export function drawSvg(chart: Chart, theme: Theme): string {
  const echarts = createRequire(__filename)('echarts') as ECharts;
  const instance = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: chart.height,
  });
  try {
    instance.setOption(chart.option(theme));
    return instance.renderToSVGString();
  } finally {
    instance.dispose(); // Holds timers.
  }
}
