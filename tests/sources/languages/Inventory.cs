using System;
using System.Collections.Generic;

namespace Shop.Stock
{
    /// <summary>Counts what is on the shelves.</summary>
    [Serializable]
    public class Inventory : IDisposable
    {
        private readonly Dictionary<string, int> _counts = new();

        public event EventHandler<StockChanged>? Changed;

        public int Total => _counts.Values.Sum();

        public int this[string sku] => _counts[sku];

        public Inventory(IEnumerable<string> skus)
        {
            foreach (var sku in skus) Add(sku, 0);
        }

        /// <summary>Adds some of one product.</summary>
        public void Add(string sku, int count = 1)
        {
            int Checked(int n) => n < 0 ? throw new ArgumentException(nameof(n)) : n;
            _counts[sku] = Checked(count);
        }

        public async Task<T?> FindAsync<T>(string sku) where T : class
        {
            return await Store.LoadAsync<T>(sku);
        }

        public void Dispose() { }

        public static Inventory operator +(Inventory a, Inventory b) => a;

        public enum Shelf { Top, Bottom }
    }

    public interface IStore
    {
        Task<T> LoadAsync<T>(string key);
    }

    public record StockChanged(string Sku, int Count);

    public struct Point { public int X; }

    public delegate void Handler(object sender);
}
