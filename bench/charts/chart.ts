import type { Theme } from './theme.js';

/** What the charting library takes. Its own types need those of a browser, which are not here. */
export type Picture = Record<string, unknown>;

/** A picture of some results. */
export interface Chart {
  /** The name of its file. */
  id: string;
  title: string;
  /** One or two sentences: what is drawn, and which direction is better. */
  caption: string;
  height: number;
  option(theme: Theme): Picture;
}
