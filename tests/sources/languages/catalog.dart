import 'dart:async';

typedef Compare<T> = int Function(T a, T b);

/// What is for sale.
@immutable
class Catalog extends Base with Logging implements Disposable {
  final List<Item> items;

  const Catalog(this.items);

  Catalog.empty() : items = const [];

  factory Catalog.from(Map<String, dynamic> json) => Catalog(json['items']);

  /// The cheapest item.
  Item? cheapest({Compare<Item>? by}) {
    items.sort(by);
    return items.first;
  }

  int get length => items.length;

  set first(Item item) {
    items[0] = item;
  }

  static Future<Catalog> load(Uri uri) async => Catalog.empty();

  Item operator [](int i) => items[i];
}

mixin Logging {
  void log(String text) => print(text);
}

enum Color { red, green }

extension Rich on Item {
  bool get isFree => price == 0;
}

abstract class Item {
  int get price;
  void sell();
}

Future<void> main(List<String> arguments) async {
  int twice(int n) => 2 * n;
  print(twice(2));
}
