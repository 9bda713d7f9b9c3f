import { contenders } from '../contenders/index.js';
import type { Picture } from './chart.js';
import { SYMBOLS, type Theme } from './theme.js';

/** The same colour and mark for a contender in every picture. */
export function looksOf(contender: string, theme: Theme): { color: string; symbol: string } {
  const index = Math.max(
    0,
    contenders.findIndex(({ id }) => id === contender),
  );
  return {
    color: theme.palette[index % theme.palette.length],
    symbol: SYMBOLS[index % SYMBOLS.length],
  };
}

export function titleOf(contender: string): string {
  return contenders.find(({ id }) => id === contender)?.title ?? contender;
}

/** What all pictures have in common. */
export function frame(theme: Theme, legend: readonly string[]): Picture {
  return {
    animation: false,
    backgroundColor: theme.background,
    textStyle: { fontFamily: 'system-ui, sans-serif', color: theme.text },
    legend: {
      bottom: 0,
      icon: 'roundRect',
      itemGap: 28, // Widths of words are guessed here.
      itemWidth: 14,
      itemHeight: 8,
      textStyle: { color: theme.text },
      data: [...legend],
    },
    grid: { left: 84, right: 24, top: 36, bottom: 46 + 22 * Math.floor(legend.length / 5) + 22 },
  };
}

/** Lines, names and numbers of an axis. */
export function axis(theme: Theme, name: string): Picture {
  return {
    name,
    nameTextStyle: { color: theme.faint },
    axisLabel: { color: theme.faint },
    axisLine: { lineStyle: { color: theme.lines } },
    axisTick: { lineStyle: { color: theme.lines } },
    splitLine: { lineStyle: { color: theme.lines } },
  };
}

/** A contender's line. */
export function line(contender: string, theme: Theme, data: (number | undefined)[]): Picture {
  const { color, symbol } = looksOf(contender, theme);
  return {
    type: 'line',
    name: titleOf(contender),
    data: data.map((value) => value ?? '-'),
    symbol,
    symbolSize: 8,
    lineStyle: { width: 2, color },
    itemStyle: { color },
  };
}
