export async function makeHostKeys(_: string): Promise<never[]> {
  return [];
}
